package model

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Believes says whether g believes what a connection from an address says about
// who is behind it and how they came; ip is zero where it is not known.
func (g *Gateway) Believes(ip netip.Addr) bool {
	return g.TrustedHops > 0 || slices.ContainsFunc(g.TrustedCIDRs, func(n string) bool {
		p, err := netip.ParsePrefix(n)
		return err == nil && p.Contains(ip.Unmap())
	})
}

// TellsClient says whether what a connection from an address says about its
// client is believed at l, a listener of g: a header of the PROXY protocol, or of
// requests x-forwarded-for. ip is zero where it is not known.
func (g *Gateway) TellsClient(l *GatewayListener, ip netip.Addr) bool {
	return l.ProxyProtocol || !l.Protocol.Opaque() && g.Believes(ip)
}

// Facing lists how g faces the clients of its http and https listeners, beside
// timeouts and rules, in the order of the schema.
func (g *Gateway) Facing() []Setting {
	s := &settings{at: g.Origin}
	if g.TrustedHops > 0 {
		s.add("trustedHops", strconv.Itoa(int(g.TrustedHops)))
	}
	s.add("trustedCIDRs", strings.Join(g.TrustedCIDRs, ", "))
	s.add("serverHeader", g.ServerHeader)
	return s.list
}

// Facing lists how l faces its clients, beside TLS, in the order of the schema.
func (l *GatewayListener) Facing() []Setting {
	s := &settings{at: l.Origin}
	s.add("bind", l.Bind)
	if l.ProxyProtocol {
		s.add("proxyProtocol", "true")
	}
	return s.list
}
