package xds

import (
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	proxyprotocolv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/proxy_protocol/v3"
)

// setProxyProtocol takes the header off before anything else reads the
// connection. Envoy closes a connection without one.
func setProxyProtocol(l *listenerv3.Listener) error {
	packed, err := toEmptyAny(&proxyprotocolv3.ProxyProtocol{})
	if err != nil {
		return err
	}
	first := &listenerv3.ListenerFilter{
		Name:       "envoy.filters.listener.proxy_protocol",
		ConfigType: &listenerv3.ListenerFilter_TypedConfig{TypedConfig: packed},
	}
	l.ListenerFilters = append([]*listenerv3.ListenerFilter{first}, l.ListenerFilters...)
	return nil
}
