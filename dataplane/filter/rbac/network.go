package rbac

import (
	"cmp"
	"fmt"
	"net/netip"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/meshc/meshc/dataplane/filter"
)

// network judges the address of the connection's other end, which no header
// can pretend to be. A peer without an IP address is in no network.
func network(c *corev3.CidrRange) (judge, error) {
	ip, err := netip.ParseAddr(c.GetAddressPrefix())
	if err != nil {
		return nil, fmt.Errorf("direct_remote_ip: address_prefix: %w", err)
	}
	bits := c.GetPrefixLen().GetValue() // absent is 0: every address of the family
	if bits > uint32(ip.BitLen()) || ip.Zone() != "" {
		return nil, fmt.Errorf("direct_remote_ip: %s/%d is not a network", ip, bits)
	}
	p := netip.PrefixFrom(ip, int(bits)).Masked()
	return func(s *filter.Stream) bool {
		peer, err := netip.ParseAddrPort(cmp.Or(s.Peer.Direct, s.Peer.Remote))
		return err == nil && p.Contains(peer.Addr().Unmap())
	}, nil
}
