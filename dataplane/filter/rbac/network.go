package rbac

import (
	"cmp"
	"fmt"
	"net/netip"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/meshc/meshc/dataplane/filter"
)

// network judges an address of a peer. One that is no IP address is in no network.
func network(what string, c *corev3.CidrRange, of func(*filter.Peer) netip.Addr) (judge, error) {
	ip, err := netip.ParseAddr(c.GetAddressPrefix())
	if err != nil {
		return nil, fmt.Errorf("%s: address_prefix: %w", what, err)
	}
	bits := c.GetPrefixLen().GetValue() // absent is 0: every address of the family
	if bits > uint32(ip.BitLen()) || ip.Zone() != "" {
		return nil, fmt.Errorf("%s: %s/%d is not a network", what, ip, bits)
	}
	p := netip.PrefixFrom(ip, int(bits)).Masked()
	return func(s *filter.Stream) bool { return p.Contains(of(&s.Peer)) }, nil
}

// direct is the connection's other end, which no header can pretend to be.
func direct(p *filter.Peer) netip.Addr {
	return addressOf(cmp.Or(p.Direct, p.Remote)).Unmap()
}

// client is whom believed proxies tell. As in Envoy, what they write as an IPv4
// address in IPv6 form is an IPv6 address.
func client(p *filter.Peer) netip.Addr { return addressOf(p.Remote).WithZone("") }

// addressOf is not valid where text is no address.
func addressOf(text string) netip.Addr {
	at, err := netip.ParseAddrPort(text)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr()
}
