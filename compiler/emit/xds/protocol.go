package xds

import (
	"fmt"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshc/meshc/compiler/model"
)

// Ports declare their protocol, and nothing is sniffed inside the mesh: an http
// port speaks HTTP/1.1 on every hop, a grpc port HTTP/2, agreed on in the TLS
// handshake where there is one.

// carried refuses a port that proxies do not carry.
func carried(owner model.Ref, p model.Port) error {
	switch p.Protocol {
	case model.HTTP, model.GRPC, model.TCP, model.TLS:
		return nil
	}
	return fmt.Errorf("port %q (%d) of %s is %s: proxies of this version carry http, grpc, tcp and tls only", p.Name, p.Number, owner, p.Protocol)
}

// alpn is what is agreed on inside TLS.
func alpn(p model.Protocol) []string {
	switch p {
	case model.GRPC:
		return []string{"h2"}
	case model.TCP, model.TLS:
		return nil
	}
	return []string{"http/1.1"}
}

func codec(p model.Protocol) hcmv3.HttpConnectionManager_CodecType {
	if p == model.GRPC {
		return hcmv3.HttpConnectionManager_HTTP2
	}
	return hcmv3.HttpConnectionManager_HTTP1
}

// setProtocol says on a cluster what its endpoints speak, how long a connection
// to them is used, and which of their answers are failures. Nothing is said where
// all of it is the default.
func setProtocol(c *clusterv3.Cluster, p model.Protocol, t *model.Traffic) error {
	if p.Opaque() {
		return nil
	}
	limits := connections(t)
	options := &httpv3.HttpProtocolOptions{CommonHttpProtocolOptions: connectionLimits(limits)}
	explicit := &httpv3.HttpProtocolOptions_ExplicitHttpConfig{}
	if p == model.GRPC {
		explicit.ProtocolConfig = &httpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{Http2ProtocolOptions: streams(limits)}
	} else {
		options.OutlierDetection = failures(t)
		if limits == nil && options.OutlierDetection == nil {
			return nil
		}
		explicit.ProtocolConfig = &httpv3.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{HttpProtocolOptions: &corev3.Http1ProtocolOptions{}}
	}
	options.UpstreamProtocolOptions = &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: explicit}
	packed, err := toAny(options)
	if err != nil {
		return err
	}
	c.TypedExtensionProtocolOptions = map[string]*anypb.Any{httpOptions: packed}
	return nil
}

func streams(c *model.Connections) *corev3.Http2ProtocolOptions {
	out := &corev3.Http2ProtocolOptions{}
	if c != nil && c.ConcurrentStreams > 0 {
		out.MaxConcurrentStreams = uint32Value(c.ConcurrentStreams)
	}
	if c != nil && c.Pings != nil {
		out.ConnectionKeepalive = &corev3.KeepaliveSettings{Interval: duration(c.Pings.Interval), Timeout: duration(c.Pings.Timeout)}
	}
	return out
}

// connectionLimits limit what one connection is used for.
func connectionLimits(c *model.Connections) *corev3.HttpProtocolOptions {
	if c == nil {
		return nil
	}
	common := &corev3.HttpProtocolOptions{IdleTimeout: duration(c.Idle)}
	if c.MaxAge > 0 {
		common.MaxConnectionDuration = duration(c.MaxAge)
	}
	if c.RequestsPerConnection > 0 {
		common.MaxRequestsPerConnection = uint32Value(c.RequestsPerConnection)
	}
	return common
}

// retryRPCs: what the HTTP conditions speak of reaches a proxy in front of
// another proxy as the status UNAVAILABLE of a call that HTTP has carried well.
func retryRPCs(r *routev3.Route) {
	if p := r.GetRoute().GetRetryPolicy(); p != nil {
		p.RetryOn += ",unavailable"
	}
}
