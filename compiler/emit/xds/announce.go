package xds

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	proxyprotocolv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/proxy_protocol/v3"
	rawbufferv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/raw_buffer/v3"
)

const (
	announcing = "envoy.transport_sockets.upstream_proxy_protocol"
	plaintext  = "envoy.transport_sockets.raw_buffer"
)

// announce has connections begin with a header of the PROXY protocol, in front of
// what the cluster's socket sends.
func announce(c *clusterv3.Cluster, version string) error {
	if version == "" {
		return nil
	}
	inner := c.TransportSocket
	if inner == nil {
		packed, err := toEmptyAny(&rawbufferv3.RawBuffer{})
		if err != nil {
			return err
		}
		inner = &corev3.TransportSocket{Name: plaintext, ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: packed}}
	}
	config := &corev3.ProxyProtocolConfig{Version: corev3.ProxyProtocolConfig_V1}
	if version == "v2" {
		config.Version = corev3.ProxyProtocolConfig_V2
	}
	packed, err := toAny(&proxyprotocolv3.ProxyProtocolUpstreamTransport{Config: config, TransportSocket: inner})
	if err != nil {
		return err
	}
	c.TransportSocket = &corev3.TransportSocket{Name: announcing, ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: packed}}
	return nil
}
