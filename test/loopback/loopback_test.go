package loopback

import (
	"net"
	"net/netip"
	"testing"
)

// What is given can be listened on, is of this machine alone, and is never an
// address that connections begin at.
func TestAddress(t *testing.T) {
	local := netip.MustParsePrefix("127.0.0.0/8")
	for range 100 {
		at := netip.MustParseAddrPort(Address(t))
		if !local.Contains(at.Addr()) || at.Addr().As4()[1] == 0 || at.Addr().As4()[1] >= 80 {
			t.Fatalf("%s", at)
		}
		l, err := net.Listen("tcp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		if from := c.LocalAddr().(*net.TCPAddr).AddrPort().Addr(); from == at.Addr() {
			t.Errorf("a connection to %s begins at %s", at, from)
		}
		c.Close()
		l.Close()
	}
}

// The ports of localhost are none that connections begin at.
func TestLocalhost(t *testing.T) {
	for range 100 {
		at := netip.MustParseAddrPort(Localhost(t))
		if at.Addr().String() != "127.0.0.1" || at.Port() < 10_000 || at.Port() >= 30_000 {
			t.Fatalf("%s", at)
		}
		l, err := net.Listen("tcp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
}
