package xds

import (
	"fmt"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"

	"github.com/meshc/meshc/compiler/model"
)

// gatewayBytes is a listener of a gateway that reads no requests: a chain for
// each server name, or one for every connection.
func (e *emitter) gatewayBytes(g *model.Gateway, l *model.GatewayListener, at string) error {
	bind, err := address(at)
	if err != nil {
		return fmt.Errorf("listener %q: %w", l.Name, err)
	}
	out := &listenerv3.Listener{Name: model.GatewayName(l.Port), Address: bind, TrafficDirection: corev3.TrafficDirection_INBOUND}
	for _, h := range l.Hosts {
		chain, err := e.gatewayChain(g, l, h)
		if err != nil {
			return fmt.Errorf("listener %q: %w", l.Name, err)
		}
		out.FilterChains = append(out.FilterChains, chain)
	}
	if l.Protocol == model.TLS {
		if out.ListenerFilters, err = tlsInspector(); err != nil {
			return err
		}
	}
	if l.ProxyProtocol {
		if err := setProxyProtocol(out); err != nil {
			return err
		}
	}
	if err := limitConnections(out, l.MaxConnections); err != nil {
		return err
	}
	e.addListener(out)
	return nil
}

// gatewayChain judges who connects, and hands the bytes to a service.
func (e *emitter) gatewayChain(g *model.Gateway, l *model.GatewayListener, h model.GatewayHost) (*listenerv3.FilterChain, error) {
	r := h.Routes[0]
	s, err := e.service(r.Service)
	if err != nil {
		return nil, fmt.Errorf("gateway route %q: %w", r.Name, err)
	}
	name := model.GatewayName(l.Port)
	split, idle := shares(s, r.Port, r.Route)
	proxy, err := e.tcpProxy(edgeSide, name, split, "", idle, false)
	if err != nil {
		return nil, err
	}
	guards, err := e.tcpAudit(name, g.Audit, l.Port)
	if err != nil {
		return nil, err
	}
	deny, err := e.tcpDeny(name, g.Deny, l.Port)
	if err != nil {
		return nil, err
	}
	guards = append(guards, deny...)
	if g.AllowOnly {
		allow, err := e.tcpAllow(name, g.Allow, l.Port)
		if err != nil {
			return nil, err
		}
		guards = append(guards, allow)
	}
	chain := &listenerv3.FilterChain{Name: h.Host, Filters: append(guards, proxy)}
	if l.Protocol == model.TLS {
		chain.FilterChainMatch = &listenerv3.FilterChainMatch{TransportProtocol: "tls"}
		if h.Host != "*" {
			chain.FilterChainMatch.ServerNames = []string{h.Host}
		}
	}
	return chain, nil
}
