package resource

import (
	"errors"
	"fmt"
	"slices"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"

	"github.com/meshc/meshc/dataplane/resource/support"
	"github.com/meshc/meshc/dataplane/snapshot"
)

var http2Messages = []support.Message{
	{Name: "envoy.extensions.upstreams.http.v3.HttpProtocolOptions.UseDownstreamHttpConfig", Fields: []support.Field{
		support.F("http_protocol_options", ""), support.F("http2_protocol_options", ""),
	}},
	{Name: "envoy.config.core.v3.Http2ProtocolOptions", Fields: []support.Field{
		support.F("max_concurrent_streams", "100 when absent"),
		support.F("initial_stream_window_size", "from 65,535; when absent 64 KiB, growing while it is read"),
		support.F("initial_connection_window_size", "from 65,535; 1 MiB when absent"),
		support.F("connection_keepalive", "of clusters only"),
		support.Only("allow_connect", "", "false"),
		support.Only("allow_metadata", "", "false"),
	}},
	{Name: "envoy.config.core.v3.KeepaliveSettings", Fields: []support.Field{
		support.F("interval", "required; up to 15 % is added at random"),
		support.F("timeout", "required; counted anew from each frame that comes"),
	}},
}

var codecs = map[hcmv3.HttpConnectionManager_CodecType]snapshot.Codec{
	hcmv3.HttpConnectionManager_AUTO:  snapshot.CodecAuto,
	hcmv3.HttpConnectionManager_HTTP1: snapshot.CodecHTTP1,
	hcmv3.HttpConnectionManager_HTTP2: snapshot.CodecHTTP2,
}

// http2Options checks the ranges that Envoy's API states.
func http2Options(o *corev3.Http2ProtocolOptions) (snapshot.HTTP2, error) {
	const least, most = 1<<16 - 1, 1<<31 - 1
	out := snapshot.HTTP2{
		MaxStreams:   o.GetMaxConcurrentStreams().GetValue(),
		StreamWindow: o.GetInitialStreamWindowSize().GetValue(),
		ConnWindow:   o.GetInitialConnectionWindowSize().GetValue(),
	}
	if v := o.GetMaxConcurrentStreams(); v != nil && (v.GetValue() < 1 || v.GetValue() > most) {
		return out, fmt.Errorf("max_concurrent_streams: %d is outside 1 to %d", v.GetValue(), most)
	}
	if v := o.GetInitialStreamWindowSize(); v != nil && (v.GetValue() < least || v.GetValue() > most) {
		return out, fmt.Errorf("initial_stream_window_size: %d is outside %d to %d", v.GetValue(), least, most)
	}
	if v := o.GetInitialConnectionWindowSize(); v != nil && (v.GetValue() < least || v.GetValue() > most) {
		return out, fmt.Errorf("initial_connection_window_size: %d is outside %d to %d", v.GetValue(), least, most)
	}
	return out, nil
}

// pings reads when they are sent on connections to endpoints.
func pings(k *corev3.KeepaliveSettings) (*snapshot.Pings, error) {
	if k == nil {
		return nil, nil
	}
	out := &snapshot.Pings{Interval: k.GetInterval().AsDuration(), Timeout: k.GetTimeout().AsDuration()}
	switch {
	case out.Interval < time.Millisecond:
		return nil, errors.New("interval: is needed, of a millisecond at least")
	case out.Timeout < time.Millisecond:
		return nil, errors.New("timeout: is needed, of a millisecond at least")
	}
	return out, nil
}

// upstreamProtocol reads how a cluster is spoken to.
func (c *Cluster) upstreamProtocol(o *httpv3.HttpProtocolOptions) error {
	var http2 *corev3.Http2ProtocolOptions
	switch p := o.GetUpstreamProtocolOptions().(type) {
	case *httpv3.HttpProtocolOptions_ExplicitHttpConfig_:
		http2 = p.ExplicitHttpConfig.GetHttp2ProtocolOptions()
		switch {
		case http2 != nil:
			c.Template.Protocol = snapshot.UpstreamHTTP2
		case p.ExplicitHttpConfig.GetHttpProtocolOptions() == nil:
			return errors.New("explicit_http_config: needs http_protocol_options or http2_protocol_options")
		}
	case *httpv3.HttpProtocolOptions_UseDownstreamProtocolConfig:
		http2 = p.UseDownstreamProtocolConfig.GetHttp2ProtocolOptions()
		c.Template.Protocol = snapshot.UpstreamAsDownstream
	default:
		return errors.New("needs explicit_http_config or use_downstream_protocol_config")
	}
	var err error
	if c.Template.HTTP2, err = http2Options(http2); err != nil {
		return fmt.Errorf("http2_protocol_options: %w", err)
	}
	if c.Template.HTTP2.Pings, err = pings(http2.GetConnectionKeepalive()); err != nil {
		return fmt.Errorf("http2_protocol_options: connection_keepalive: %w", err)
	}
	return nil
}

// codec reads what a connection manager speaks; a protocol that its TLS context
// would agree to must be one of that.
func (h *HTTP) codec(m *hcmv3.HttpConnectionManager, tls *tlsv3.DownstreamTlsContext) (err error) {
	h.Codec = codecs[m.GetCodecType()]
	if h.HTTP2, err = http2Options(m.GetHttp2ProtocolOptions()); err != nil {
		return fmt.Errorf("http2_protocol_options: %w", err)
	}
	if m.GetHttp2ProtocolOptions().GetConnectionKeepalive() != nil {
		return errors.New("http2_protocol_options: connection_keepalive: pings are sent to endpoints, not to clients")
	}
	alpn := tls.GetCommonTlsContext().GetAlpnProtocols()
	switch {
	case h.Codec == snapshot.CodecHTTP1 && slices.Contains(alpn, "h2"):
		return errors.New("codec_type: HTTP1 where alpn_protocols offers h2")
	case h.Codec == snapshot.CodecHTTP2 && slices.Contains(alpn, "http/1.1"):
		return errors.New("codec_type: HTTP2 where alpn_protocols offers http/1.1")
	}
	return nil
}
