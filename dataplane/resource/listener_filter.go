package resource

import (
	"errors"
	"fmt"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	originaldstv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/original_dst/v3"
	proxyprotocolv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/proxy_protocol/v3"
	tlsinspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
)

// addresses reads the further addresses of a listener.
func (l *Listener) addresses(list []*listenerv3.AdditionalAddress) error {
	for i, a := range list {
		addr, err := listenAddress(a.GetAddress())
		if err != nil {
			return fmt.Errorf("[%d]: address: %w", i, err)
		}
		l.Also = append(l.Also, addr)
	}
	return nil
}

// filter reads one listener filter.
func (l *Listener) filter(f *listenerv3.ListenerFilter) error {
	switch {
	case f.GetTypedConfig() == nil:
		return errors.New("needs a typed_config")
	case f.GetTypedConfig().MessageIs(&originaldstv3.OriginalDst{}):
		if f.GetFilterDisabled() != nil {
			return errors.New("filter_disabled: supported of the TLS inspector only")
		}
		if l.InspectTLS {
			return errors.New("behind the TLS inspector, which would see the address of the redirect")
		}
		if l.ProxyProtocol {
			return errors.New("not beside proxy_protocol")
		}
		l.OriginalDst = true
	case f.GetTypedConfig().MessageIs(&tlsinspectorv3.TlsInspector{}):
		if l.InspectTLS {
			return errors.New("there is a TLS inspector already")
		}
		l.InspectTLS = true
		if f.GetFilterDisabled() == nil {
			return nil
		}
		ports, err := onlyPorts(f.GetFilterDisabled().GetNotMatch())
		if err != nil {
			return fmt.Errorf("filter_disabled: %w", err)
		}
		l.InspectPorts = ports
	case f.GetTypedConfig().MessageIs(&proxyprotocolv3.ProxyProtocol{}):
		switch {
		case f.GetFilterDisabled() != nil:
			return errors.New("filter_disabled: supported of the TLS inspector only")
		case l.InspectTLS || l.OriginalDst || l.ProxyProtocol:
			return errors.New("stands first, and not beside original_dst")
		}
		l.ProxyProtocol = true
	default:
		return errors.New("is neither original_dst nor proxy_protocol nor the TLS inspector")
	}
	return nil
}

// onlyPorts reads a predicate that says nothing but ports, at least one.
func onlyPorts(p *listenerv3.ListenerFilterChainMatchPredicate) ([]uint16, error) {
	rules := p.GetOrMatch().GetRules()
	if len(rules) == 0 {
		rules = []*listenerv3.ListenerFilterChainMatchPredicate{p}
	}
	var out []uint16
	for _, r := range rules {
		ports := r.GetDestinationPortRange()
		if ports == nil {
			return nil, errors.New("supported is not_match of a destination_port_range, or of an or_match of them")
		}
		if ports.GetStart() < 1 || ports.GetStart() > 65535 || ports.GetEnd() != ports.GetStart()+1 {
			return nil, fmt.Errorf("destination_port_range: %d to %d is not one port", ports.GetStart(), ports.GetEnd())
		}
		out = append(out, uint16(ports.GetStart()))
	}
	return out, nil
}
