package cluster

import (
	"net"
	"net/netip"
	"testing"

	"github.com/meshc/meshc/dataplane/proxyprotocol"
)

// addressed is a connection between two addresses.
type addressed struct {
	net.Conn
	from, to netip.AddrPort
}

func (a addressed) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(a.from) }
func (a addressed) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(a.to) }

// What asks about health is the proxy itself.
func TestHealthChecksAreAnnounced(t *testing.T) {
	c := addressed{from: netip.MustParseAddrPort("192.0.2.1:1234"), to: netip.MustParseAddrPort("192.0.2.2:80")}
	for v, want := range map[proxyprotocol.Version]string{
		proxyprotocol.None: "", proxyprotocol.V1: "PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n", proxyprotocol.V2: "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00",
	} {
		if got := string(hello(v, c)); got != want {
			t.Errorf("version %d: %q, want %q", v, got, want)
		}
	}
}
