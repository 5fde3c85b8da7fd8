package resource

import (
	"github.com/meshc/meshc/dataplane/filter/admission"
	"github.com/meshc/meshc/dataplane/filter/buffer"
	"github.com/meshc/meshc/dataplane/filter/compress"
	"github.com/meshc/meshc/dataplane/filter/cors"
	"github.com/meshc/meshc/dataplane/filter/descriptor"
	"github.com/meshc/meshc/dataplane/filter/extauthz"
	"github.com/meshc/meshc/dataplane/filter/fault"
	"github.com/meshc/meshc/dataplane/filter/globalrate"
	"github.com/meshc/meshc/dataplane/filter/jwt"
	"github.com/meshc/meshc/dataplane/filter/localrate"
	"github.com/meshc/meshc/dataplane/filter/rbac"
	"github.com/meshc/meshc/dataplane/resource/support"
	"github.com/meshc/meshc/dataplane/route"
	"github.com/meshc/meshc/dataplane/telemetry"
)

// Supported is everything that the proxy takes from xDS and from a bootstrap.
var Supported = support.New(
	listenerMessages, announceMessages, connectionLimitMessages, managerMessages, detectionMessages, tcpMessages, telemetry.SupportedFilters, route.Supported, admission.Supported, buffer.Supported, compress.Supported, cors.Supported, fault.Supported, rbac.Supported, rbac.SupportedNetwork, descriptor.Supported, localrate.Supported, globalrate.Supported, jwt.Supported, extauthz.Supported,
	tracingMessages, otlpLogMessages,
	clusterMessages, http2Messages, tlsMessages, sourceMessages, bootstrapMessages, statsMessages,
)

var listenerMessages = []support.Message{
	{Name: "envoy.config.listener.v3.Listener", Fields: []support.Field{
		support.F("name", "required"),
		support.F("address", "an IP address and TCP port"),
		support.F("additional_addresses", ""),
		support.F("stat_prefix", "the listener's name in statistics is its name"),
		support.F("filter_chains", ""),
		support.F("listener_filters", "proxy_protocol or original_dst, and the TLS inspector"),
		support.F("use_original_dst", "brings original_dst"),
		support.F("listener_filters_timeout", "15 s when absent"),
		support.F("traffic_direction", ""),
		support.F("bind_to_port", "false: connections come from a listener with `use_original_dst`"),
		support.Only("enable_reuse_port", "the engine decides per worker", "true"),
	}},
	{Name: "envoy.config.listener.v3.FilterChain", Fields: []support.Field{
		support.F("name", ""),
		support.F("filter_chain_match", ""),
		support.F("filters", "a connection limit as the first, if any; then exactly one HTTP connection manager, or network RBAC and a TCP proxy as the last"),
		support.F("transport_socket", "TLS or raw buffer"),
		support.F("transport_socket_connect_timeout", "of the TLS handshake"),
	}},
	{Name: "envoy.config.listener.v3.AdditionalAddress", Fields: []support.Field{support.F("address", "")}},
	{Name: "envoy.config.listener.v3.FilterChainMatch", Fields: []support.Field{
		support.F("destination_port", "chains for the port before those for every port"),
		support.Only("transport_protocol", "the more specific chain wins", "tls", "raw_buffer"),
		support.F("server_names", "exact before the longest wildcard before none"),
		support.F("source_prefix_ranges", "the longest before none; behind all of the above"),
	}},
	{Name: "envoy.config.listener.v3.ListenerFilter", Fields: []support.Field{
		support.F("name", ""), support.F("typed_config", ""),
		support.F("filter_disabled", "of the TLS inspector: `not_match` of ports"),
	}},
	{Name: "envoy.config.listener.v3.ListenerFilterChainMatchPredicate", Fields: []support.Field{
		support.F("not_match", "the outermost"), support.F("or_match", "of ports, in `not_match`"), support.F("destination_port_range", "one port, or in `or_match` several"),
	}},
	{Name: "envoy.config.listener.v3.ListenerFilterChainMatchPredicate.MatchSet", Fields: []support.Field{support.F("rules", "")}},
	{Name: "envoy.type.v3.Int32Range", Fields: []support.Field{support.F("start", ""), support.F("end", "behind the last; of ports one more than `start`")}},
	{Name: "envoy.extensions.filters.listener.original_dst.v3.OriginalDst"},
	{Name: "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"},
	{Name: "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"},
	{Name: "envoy.config.listener.v3.Filter", Fields: []support.Field{
		support.F("name", ""), support.F("typed_config", ""),
	}},
	{Name: "envoy.config.core.v3.Address", Fields: []support.Field{
		support.F("socket_address", ""), support.F("pipe", "of the admin endpoint and of gRPC clusters in the bootstrap"),
	}},
	{Name: "envoy.config.core.v3.SocketAddress", Fields: []support.Field{
		support.Only("protocol", "", "TCP"), support.F("address", ""), support.F("port_value", ""),
	}},
	{Name: "envoy.config.core.v3.Pipe", Fields: []support.Field{support.F("path", "")}},
	{Name: "envoy.config.core.v3.TransportSocket", Fields: []support.Field{
		support.F("name", ""), support.F("typed_config", ""),
	}},
}

const p = "envoy.extensions.filters.network.http_connection_manager.v3."

var managerMessages = []support.Message{
	{Name: p + "HttpConnectionManager", Fields: []support.Field{
		support.Only("codec_type", "AUTO goes by ALPN, else by the first bytes", "AUTO", "HTTP1", "HTTP2"),
		support.F("http2_protocol_options", ""),
		support.F("stat_prefix", ""),
		support.F("rds", ""),
		support.F("route_config", ""),
		support.F("http_filters", "compression, CORS, one admission control, fault, tokens, RBAC, buffers, external authorization, rate limits; the router last"),
		support.F("access_log", ""),
		support.F("tracing", "none without a provider"),
		support.F("common_http_protocol_options", ""),
		support.F("request_headers_timeout", "10 s when absent, 0 is none"),
		support.F("stream_idle_timeout", "above 0; 5 min when absent"),
		support.F("drain_timeout", ""),
		support.F("max_request_headers_kb", "60 when absent, and at most"),
		support.F("server_name", ""),
		support.Only("server_header_transformation", "", "OVERWRITE", "PASS_THROUGH"),
		support.F("forward_client_cert_details", ""),
		support.F("set_current_client_cert_details", ""),
		support.F("generate_request_id", ""),
		support.F("use_remote_address", ""),
		support.F("xff_num_trusted_hops", "with `use_remote_address`"),
		support.F("original_ip_detection_extensions", "one of networks that are believed, without `use_remote_address`"),
		support.F("internal_address_config", "empty: no address is internal"),
		support.F("normalize_path", ""),
		support.F("early_header_mutation_extensions", "what is removed"),
		support.Only("path_with_escaped_slashes_action", "", "IMPLEMENTATION_SPECIFIC_DEFAULT", "KEEP_UNCHANGED", "REJECT_REQUEST"),
	}},
	{Name: p + "Rds", Fields: []support.Field{
		support.F("config_source", "ADS"), support.F("route_config_name", ""),
	}},
	{Name: p + "HttpFilter", Fields: []support.Field{support.F("name", ""), support.F("typed_config", ""), support.F("disabled", "but on routes that switch it on")}},
	{Name: p + "HttpConnectionManager.SetCurrentClientCertDetails", Fields: []support.Field{
		support.F("uri", "required where the header is written"),
	}},
	{Name: p + "HttpConnectionManager.InternalAddressConfig"},
	{Name: "envoy.extensions.filters.http.router.v3.Router"},
	{Name: "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation", Fields: []support.Field{support.F("mutations", "")}},
	{Name: "envoy.config.common.mutation_rules.v3.HeaderMutation", Fields: []support.Field{support.F("remove", "")}},
	{Name: "envoy.config.core.v3.HttpProtocolOptions", Fields: []support.Field{
		support.F("idle_timeout", "1 h when absent, 0 is none"),
		support.F("max_headers_count", "100 when absent; of listeners only"),
		support.F("max_connection_duration", "above 0"),
		support.F("max_requests_per_connection", "of clusters only"),
	}},
	{Name: "envoy.config.accesslog.v3.AccessLog", Fields: []support.Field{
		support.F("name", ""), support.F("filter", ""), support.F("typed_config", ""),
	}},
	{Name: "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog", Fields: []support.Field{support.F("log_format", "")}},
	{Name: "envoy.extensions.access_loggers.stream.v3.StderrAccessLog", Fields: []support.Field{support.F("log_format", "")}},
	{Name: "envoy.extensions.access_loggers.file.v3.FileAccessLog", Fields: []support.Field{
		support.F("path", ""), support.F("log_format", ""),
	}},
	{Name: "envoy.config.core.v3.SubstitutionFormatString", Fields: []support.Field{
		support.F("text_format_source", "inline_string"),
		support.F("json_format", "an object of strings"),
	}},
}
