package xds

import (
	"fmt"
	"net/netip"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	originaldstv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/original_dst/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/compiler/model"
)

// The sidecar of a captured pod binds two ports. To the outbound one come the
// application's connections: Envoy hands each to the listener that has the
// address to which it was going, which is bound nowhere; what has none is
// answered 502. To the inbound one come connections to the pod. They are never
// handed on, or whoever reaches the pod could call as its service; a filter chain
// takes them by the port to which they were going, and where there is none they
// are closed. Neither side ever goes on to where a connection was going, so that
// none comes back.

const originalDstFilter = "envoy.filters.listener.original_dst"

// undeclaredStatus, and text, answer requests to what the service does not use.
const (
	undeclaredStatus = 502
	undeclaredText   = "meshc: nothing that service %s uses is at this address or has this name; declare it in `uses`, or exclude its address from capture\n"
)

// calledAt is where the application calls a used port; none while nobody knows.
func (e *emitter) calledAt(ref model.Ref, port uint16) []string {
	key := model.OutboundKey(ref, port)
	if e.self.Capture == nil {
		if at := e.self.Outbound[key]; at != "" {
			return []string{at}
		}
		return nil
	}
	if at := e.self.Capture.Outbound[key]; len(at) > 0 {
		return at
	}
	var out []string
	if x := e.mesh.External(ref); x != nil {
		for _, s := range x.Endpoints {
			if ap, err := netip.ParseAddrPort(s); err == nil {
				out = append(out, netip.AddrPortFrom(ap.Addr(), port).String())
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// clientListener takes the application's connections to a used port: those to an
// address of its own, or of a captured pod those that were going there.
func (e *emitter) clientListener(name string, ref model.Ref, port uint16, filter *listenerv3.Filter) (*listenerv3.Listener, error) {
	at := e.calledAt(ref, port)
	l, err := plainListener(name, at[0], corev3.TrafficDirection_OUTBOUND, filter)
	if err != nil || e.self.Capture == nil {
		return l, err
	}
	return l, unbound(l, at[1:])
}

// unbound makes l a listener to which another one hands connections, at these
// addresses as well.
func unbound(l *listenerv3.Listener, also []string) error {
	l.BindToPort = boolValue(false)
	for _, s := range also {
		a, err := address(s)
		if err != nil {
			return fmt.Errorf("listener %s: %w", l.Name, err)
		}
		l.AdditionalAddresses = append(l.AdditionalAddresses, &listenerv3.AdditionalAddress{Address: a})
	}
	return nil
}

// everywhere are the addresses of one port on which a captured pod listens.
func (e *emitter) everywhere(port uint16) ([]string, error) {
	var out []string
	for _, any := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		for _, s := range e.self.Capture.Addresses {
			own, err := netip.ParseAddr(s)
			if err != nil {
				return nil, fmt.Errorf("capture: address %q: %w", s, err)
			}
			if own.Is4() == any.Is4() {
				out = append(out, netip.AddrPortFrom(any, port).String())
				break
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("capture: the pod has no address")
	}
	return out, nil
}

// capture adds the listeners to which the rules of the pod lead, and takes out
// those of single inbound ports.
func (e *emitter) capture() error {
	if err := e.captureInbound(); err != nil {
		return err
	}
	if err := e.captureNames(); err != nil {
		return err
	}
	if err := e.captureOutbound(); err != nil {
		return err
	}
	return e.calledOnce()
}

// captureOutbound hands connections on, and answers those that nobody takes.
func (e *emitter) captureOutbound() error {
	rc := &routev3.RouteConfiguration{Name: model.CaptureOutboundName(), VirtualHosts: []*routev3.VirtualHost{e.undeclared()}}
	hcm, err := e.connectionManager(nowhereSide, hcmv3.HttpConnectionManager_AUTO, rc)
	if err != nil {
		return err
	}
	l, err := e.capturing(model.CaptureOutboundName(), model.CaptureOutboundPort, corev3.TrafficDirection_OUTBOUND)
	if err != nil {
		return err
	}
	l.ListenerFilters, l.UseOriginalDst = nil, boolValue(true) // which brings the filter
	l.FilterChains = []*listenerv3.FilterChain{{Name: "undeclared", Filters: []*listenerv3.Filter{hcm}}}
	e.addListener(l)
	return nil
}

// undeclared answers what nothing declared takes.
func (e *emitter) undeclared() *routev3.VirtualHost {
	route := &routev3.Route{Name: "undeclared", Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}}}
	setRespond(route, &model.Respond{Status: undeclaredStatus, Body: fmt.Sprintf(undeclaredText, e.self.Service)})
	return virtualHost("undeclared", []string{"*"}, []*routev3.Route{route})
}

// capturing is bound to a port on which the rules of the pod lead, and learns
// where connections were going.
func (e *emitter) capturing(name string, port uint16, direction corev3.TrafficDirection) (*listenerv3.Listener, error) {
	at, err := e.everywhere(port)
	if err != nil {
		return nil, err
	}
	packed, err := toAny(&originaldstv3.OriginalDst{})
	if err != nil {
		return nil, err
	}
	l := &listenerv3.Listener{Name: name, TrafficDirection: direction, ListenerFilters: []*listenerv3.ListenerFilter{{
		Name: originalDstFilter, ConfigType: &listenerv3.ListenerFilter_TypedConfig{TypedConfig: packed},
	}}}
	if err := unbound(l, at[1:]); err != nil {
		return nil, err
	}
	l.BindToPort = nil
	l.Address, err = address(at[0])
	return l, err
}

// captureInbound puts the listeners of single ports into one, in which their
// chains are told apart by port.
func (e *emitter) captureInbound() error {
	out, err := e.capturing(model.CaptureInboundName(), model.CaptureInboundPort, corev3.TrafficDirection_INBOUND)
	if err != nil {
		return err
	}
	var inspected []uint16
	rest := e.out.Listeners[:0]
	for _, l := range e.out.Listeners {
		if l.GetTrafficDirection() != corev3.TrafficDirection_INBOUND {
			rest = append(rest, l)
			continue
		}
		port, err := e.foldInbound(out, l)
		if err != nil {
			return err
		}
		if len(l.GetListenerFilters()) > 0 {
			inspected = append(inspected, port)
		}
	}
	e.out.Listeners = rest
	if len(out.FilterChains) == 0 {
		return nil // and connections to the pod are refused by the kernel
	}
	if len(inspected) > 0 {
		tls, err := tlsInspector()
		if err != nil {
			return err
		}
		// Elsewhere the server may speak first, and there is nothing to look at.
		tls[0].FilterDisabled = &listenerv3.ListenerFilterChainMatchPredicate{Rule: &listenerv3.ListenerFilterChainMatchPredicate_NotMatch{NotMatch: anyPort(inspected)}}
		out.ListenerFilters = append(out.ListenerFilters, tls...)
	}
	e.addListener(out)
	return nil
}

// foldInbound adds the chains of l, which is of one port, to out. What a raw patch
// has added to the listener itself would be for all ports. The port is the one to
// which clients were going, which need not be that of the service.
func (e *emitter) foldInbound(out, l *listenerv3.Listener) (uint16, error) {
	var port uint16
	for n, at := range e.self.Inbound {
		if model.InboundName(n) == l.GetName() {
			going, err := netip.ParseAddrPort(at)
			if err != nil {
				return 0, fmt.Errorf("listener %s: %w", l.GetName(), err)
			}
			port = going.Port()
		}
	}
	alone := &listenerv3.Listener{
		Name: l.GetName(), Address: l.GetAddress(), TrafficDirection: l.GetTrafficDirection(),
		FilterChains: l.GetFilterChains(), ListenerFilters: l.GetListenerFilters(),
	}
	if !proto.Equal(alone, l) || len(l.GetListenerFilters()) > 1 {
		return 0, fmt.Errorf("listener %s: a captured pod has one listener for all of its ports, and patches of more than filter chains have no place in it", l.GetName())
	}
	for _, c := range l.GetFilterChains() {
		c.Name = l.GetName() + "|" + c.GetName()
		if c.FilterChainMatch == nil {
			c.FilterChainMatch = &listenerv3.FilterChainMatch{}
		}
		c.FilterChainMatch.DestinationPort = uint32Value(uint32(port))
		out.FilterChains = append(out.FilterChains, c)
	}
	return port, nil
}

// anyPort matches connections that were going to one of these ports.
func anyPort(ports []uint16) *listenerv3.ListenerFilterChainMatchPredicate {
	slices.Sort(ports)
	var rules []*listenerv3.ListenerFilterChainMatchPredicate
	for _, p := range ports {
		rules = append(rules, &listenerv3.ListenerFilterChainMatchPredicate{Rule: &listenerv3.ListenerFilterChainMatchPredicate_DestinationPortRange{
			DestinationPortRange: &typev3.Int32Range{Start: int32(p), End: int32(p) + 1},
		}})
	}
	if len(rules) == 1 {
		return rules[0]
	}
	return &listenerv3.ListenerFilterChainMatchPredicate{Rule: &listenerv3.ListenerFilterChainMatchPredicate_OrMatch{
		OrMatch: &listenerv3.ListenerFilterChainMatchPredicate_MatchSet{Rules: rules},
	}}
}

// calledOnce refuses that one address leads to two places.
func (e *emitter) calledOnce() error {
	owner := map[string]string{}
	for _, l := range e.out.Listeners {
		all := []*corev3.Address{l.GetAddress()}
		for _, a := range l.GetAdditionalAddresses() {
			all = append(all, a.GetAddress())
		}
		for _, a := range all {
			at := fmt.Sprintf("%s:%d", a.GetSocketAddress().GetAddress(), a.GetSocketAddress().GetPortValue())
			if other, taken := owner[at]; taken {
				return fmt.Errorf("capture: %s is the address of %s and of %s", at, other, l.GetName())
			}
			owner[at] = l.GetName()
		}
	}
	return nil
}
