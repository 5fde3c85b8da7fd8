package engine

import (
	"net/netip"
	"slices"

	"github.com/meshc/meshc/dataplane/capture"
)

// findTakers notes whose the connections are that are handed on, if any are.
func (v *view) findTakers() {
	handed := false
	for _, l := range v.listeners {
		handed = handed || l.snap.HandOn
	}
	if !handed {
		return
	}
	v.takers = make(map[netip.AddrPort]*listenerView, len(v.listeners))
	for _, l := range v.listeners {
		for _, at := range l.snap.Addresses() {
			v.takers[at] = l
		}
	}
}

// taker gives the listener that a new connection of l is for, and the
// connection's local address: where it was going, if l is one to which
// connections are redirected. As in Envoy, what no other listener is for stays
// with l.
func (v *view) taker(l *listenerView, fd int, bound netip.AddrPort) (*listenerView, netip.AddrPort) {
	local := localAddr(fd, bound)
	if !l.snap.OriginalDst {
		return l, local
	}
	to, err := capture.OriginalDestination(fd)
	if err != nil { // it came here by itself
		return l, local
	}
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	if !l.snap.HandOn || to == local {
		return l, to
	}
	return v.takerOf(l, to), to
}

// takerOf gives whose a connection is that l hands on.
func (v *view) takerOf(l *listenerView, to netip.AddrPort) *listenerView {
	if other := v.takers[to]; other != nil {
		return other
	}
	every := netip.IPv4Unspecified()
	if to.Addr().Is6() {
		every = netip.IPv6Unspecified()
	}
	if other := v.takers[netip.AddrPortFrom(every, to.Port())]; other != nil {
		return other
	}
	return l
}

// inspects says whether the first bytes of a connection are looked at.
func (l *listenerView) inspects(port uint16) bool {
	return l.snap.InspectTLS && (len(l.snap.InspectPorts) == 0 || slices.Contains(l.snap.InspectPorts, port))
}
