package resource

import (
	"errors"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	proxyprotocolv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/proxy_protocol/v3"

	"github.com/meshc/meshc/dataplane/proxyprotocol"
	"github.com/meshc/meshc/dataplane/resource/support"
)

var announceMessages = []support.Message{
	{Name: "envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport", Fields: []support.Field{
		support.F("config", ""), support.F("transport_socket", "TLS or raw buffer"),
	}},
	{Name: "envoy.config.core.v3.ProxyProtocolConfig", Fields: []support.Field{support.Only("version", "", "V1", "V2")}},
}

// announcing says how a cluster's endpoints are told whose a connection is, and
// gives the socket within.
func announcing(socket *corev3.TransportSocket) (proxyprotocol.Version, *corev3.TransportSocket, error) {
	config := new(proxyprotocolv3.ProxyProtocolUpstreamTransport)
	if socket == nil || !socket.GetTypedConfig().MessageIs(config) {
		return proxyprotocol.None, socket, nil
	}
	if err := socket.GetTypedConfig().UnmarshalTo(config); err != nil {
		return proxyprotocol.None, nil, err
	}
	inner := config.GetTransportSocket()
	if inner.GetTypedConfig().MessageIs(config) {
		return proxyprotocol.None, nil, errors.New("transport_socket: a header is announced already")
	}
	if config.GetConfig().GetVersion() == corev3.ProxyProtocolConfig_V2 {
		return proxyprotocol.V2, inner, nil
	}
	return proxyprotocol.V1, inner, nil
}
