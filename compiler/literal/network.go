package literal

import (
	"fmt"
	"net/netip"
)

// Network reads an IP network, "10.0.0.0/8", or one address. Bits beyond the
// prefix must not be set: they would have no effect.
func Network(s string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(s); err == nil && ip.Zone() == "" {
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("%q is not a network such as \"10.0.0.0/8\"", Clip(s))
	case p.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("%q is an IPv4 network in IPv6 form", s)
	case p != p.Masked():
		return netip.Prefix{}, fmt.Errorf("%q has bits outside its prefix; the network is %q", s, p.Masked())
	}
	return p, nil
}
