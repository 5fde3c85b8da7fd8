package xds

import (
	"fmt"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tlsinspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/meshc/meshc/compiler/model"
)

// plainListener takes HTTP without TLS: from the application beside it, or
// from outside the mesh.
func plainListener(name, at string, direction corev3.TrafficDirection, hcm *listenerv3.Filter) (*listenerv3.Listener, error) {
	bind, err := address(at)
	if err != nil {
		return nil, fmt.Errorf("listener %s: %w", name, err)
	}
	return &listenerv3.Listener{
		Name:             name,
		Address:          bind,
		TrafficDirection: direction,
		FilterChains:     []*listenerv3.FilterChain{{Name: "plaintext", Filters: []*listenerv3.Filter{hcm}}},
	}, nil
}

// inboundListener has the chains that mode asks for. peers are who may connect at
// all; without any, whoever is of the trust domain.
func (e *emitter) inboundListener(name, at string, mode model.MTLSMode, p model.Protocol, hcm *listenerv3.Filter, peers ...*matcherv3.StringMatcher) (*listenerv3.Listener, error) {
	out, err := plainListener(name, at, corev3.TrafficDirection_INBOUND, hcm)
	if err != nil || mode == model.MTLSDisable {
		return out, err
	}
	socket, err := e.serverTLS(p, peers...)
	if err != nil {
		return nil, err
	}
	mutual := &listenerv3.FilterChain{Name: "mtls", Filters: []*listenerv3.Filter{hcm}, TransportSocket: socket}
	switch mode {
	case model.MTLSStrict:
		out.FilterChains = []*listenerv3.FilterChain{mutual}
		return out, nil
	case model.MTLSPermissive:
		mutual.FilterChainMatch = &listenerv3.FilterChainMatch{TransportProtocol: "tls"}
		plain := out.FilterChains[0]
		plain.FilterChainMatch = &listenerv3.FilterChainMatch{TransportProtocol: "raw_buffer"}
		out.FilterChains = []*listenerv3.FilterChain{mutual, plain}
		out.ListenerFilters, err = tlsInspector()
		return out, err
	default:
		return nil, fmt.Errorf("listener %s: unknown mTLS mode %q", name, mode)
	}
}

func tlsInspector() ([]*listenerv3.ListenerFilter, error) {
	packed, err := toEmptyAny(&tlsinspectorv3.TlsInspector{})
	if err != nil {
		return nil, err
	}
	return []*listenerv3.ListenerFilter{{
		Name:       "envoy.filters.listener.tls_inspector",
		ConfigType: &listenerv3.ListenerFilter_TypedConfig{TypedConfig: packed},
	}}, nil
}
