package resource

import (
	"fmt"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshc/meshc/dataplane/snapshot"
)

func parse[M proto.Message](t testing.TB, m M, text string) M {
	t.Helper()
	if err := protojson.Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	return m
}

const tlsContext = `"common_tls_context": {"tls_params": {"tls_minimum_protocol_version": "TLSv1_2"}, "alpn_protocols": ["http/1.1"],
 "tls_certificate_sds_secret_configs": [{"name": "default", "sds_config": {"api_config_source": {"api_type": "GRPC", "grpc_services": [{"envoy_grpc": {"cluster_name": "meshc-agent"}}]}}}],
 "combined_validation_context": {"default_validation_context": {"match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"prefix": "spiffe://d/"}}]},
  "validation_context_sds_secret_config": {"name": "bundle|d", "sds_config": {"ads": {}}}}}`

// listenerJSON has two chains; %s is more of the manager.
const listenerJSON = `{"name": "in", "traffic_direction": "INBOUND", "address": {"socket_address": {"address": "127.0.0.1", "port_value": 80}},
 "listener_filters": [{"name": "i", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"}}],
 "filter_chains": [
  {"name": "plain", "filters": [%[1]s]},
  {"name": "tls", "filter_chain_match": {"transport_protocol": "tls"}, "filters": [%[1]s],
   "transport_socket": {"name": "tls", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext", "require_client_certificate": true, ` + tlsContext + `}}}]}`

const managerJSON = `{"name": "hcm", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
 "stat_prefix": "in", %s "http_filters": [
 {"name": "rbac", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC", "rules": {"policies": {"p": {"permissions": [{"any": true}], "principals": [{"any": true}]}}}}},
 {"name": "router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}`

const rds = `"rds": {"route_config_name": "r", "config_source": {"ads": {}}},`

func listenerWith(t testing.TB, manager string) *listenerv3.Listener {
	return parse(t, new(listenerv3.Listener), fmt.Sprintf(listenerJSON, fmt.Sprintf(managerJSON, manager)))
}

func TestListener(t *testing.T) {
	r, err := FromProto(listenerWith(t, rds+`"stream_idle_timeout": "3s", "max_request_headers_kb": 20, "server_name": "me", "normalize_path": true,
 "forward_client_cert_details": "SANITIZE_SET", "set_current_client_cert_details": {"uri": true}, "path_with_escaped_slashes_action": "REJECT_REQUEST",
 "access_log": [{"name": "f", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog", "path": "/dev/stdout", "log_format": {"json_format": {"m": "%REQ(:METHOD)%"}}}}],`))
	if err != nil {
		t.Fatal(err)
	}
	l := r.(*Listener)
	if l.Addr.String() != "127.0.0.1:80" || !l.InspectTLS || l.Chains[0].Name != "tls" || l.Chains[1].TLS != nil || l.Chains[0].TLS == nil {
		t.Errorf("listener %+v", l)
	}
	h := l.Chains[0].HTTP
	if h.RouteConfig != "r" || h.StreamIdleTimeout != 3*time.Second || h.MaxRequestHeadersKiB != 20 || h.ServerName != "me" || h.Direction != "inbound" ||
		h.ForwardClientCert != snapshot.SanitizeSetXFCC || !h.GenerateRequestID || !h.NormalizePath || !h.RejectEscapedSlashes ||
		len(h.Filters) != 1 || h.AccessLogs[0].JSONFormat["m"] != "%REQ(:METHOD)%" {
		t.Errorf("manager %+v", h)
	}
	if fmt.Sprint(l.RouteConfigs(), l.Secrets()) != "[r] [{default 0} {bundle|d 1}]" {
		t.Errorf("refers to %v, %v", l.RouteConfigs(), l.Secrets())
	}
}

// logWith is an access log in a text format.
func logWith(format string) string {
	return fmt.Sprintf(`"access_log": [{"name": "f", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
 "path": "/dev/stdout", "log_format": {"text_format_source": {"inline_string": %q}}}}],`, format)
}

func TestListenerRefusals(t *testing.T) {
	good := listenerWith(t, rds)
	for name, c := range map[string]struct {
		change func(*listenerv3.Listener)
		want   string
	}{
		"unsupported field":     {func(l *listenerv3.Listener) { l.DrainType = 1 }, "drain_type"},
		"no chain":              {func(l *listenerv3.Listener) { l.FilterChains = nil }, "filter_chains"},
		"two chains alike":      {func(l *listenerv3.Listener) { l.FilterChains[1].FilterChainMatch = nil }, "two chains"},
		"tls without inspector": {func(l *listenerv3.Listener) { l.ListenerFilters = nil }, "tls_inspector"},
		"a name for an address": {func(l *listenerv3.Listener) { l.Address.GetSocketAddress().Address = "localhost" }, "not an IP address"},
		"unknown field": {func(l *listenerv3.Listener) {
			l.ProtoReflect().SetUnknown([]byte{0xf8, 0xff, 0x03, 0x01})
		}, "not known to this version"},
		"two filters": {func(l *listenerv3.Listener) {
			l.FilterChains[0].Filters = append(l.FilterChains[0].Filters, l.FilterChains[0].Filters[0])
		}, "stands alone"},
		"a limit alone": {func(l *listenerv3.Listener) {
			l.FilterChains[0].Filters = []*listenerv3.Filter{connectionLimit(t, `"stat_prefix": "x", "max_connections": "1"`)}
		}, "ends in"},
		"a limit behind": {func(l *listenerv3.Listener) {
			l.FilterChains[0].Filters = append(l.FilterChains[0].Filters, connectionLimit(t, `"stat_prefix": "x", "max_connections": "1"`))
		}, "ends in"},
		"two limits": {func(l *listenerv3.Listener) {
			one := connectionLimit(t, `"stat_prefix": "x", "max_connections": "1"`)
			l.FilterChains[0].Filters = append([]*listenerv3.Filter{one, one}, l.FilterChains[0].Filters...)
		}, "stands alone"},
		"a limit with a delay": {func(l *listenerv3.Listener) {
			l.FilterChains[0].Filters = append([]*listenerv3.Filter{connectionLimit(t, `"stat_prefix": "x", "max_connections": "1", "delay": "1s"`)}, l.FilterChains[0].Filters...)
		}, "delay: field is not supported"},
		"a limit of a chain without a name": {func(l *listenerv3.Listener) {
			limitAll(t, l)
			l.FilterChains[1].Name = ""
		}, "filter_chains[1]: name"},
		"limits of chains of one name": {func(l *listenerv3.Listener) {
			limitAll(t, l)
			l.FilterChains[1].Name = l.FilterChains[0].Name
		}, "is another chain's"},
	} {
		l := proto.Clone(good).(*listenerv3.Listener)
		c.change(l)
		if _, err := FromProto(l); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `"in"`) {
			t.Errorf("%s: error %v, want it to name %q", name, err, c.want)
		}
	}
	for manager, want := range map[string]string{
		rds + `"codec_type": "HTTP3",`:                                        "filter_chains[0].filters[0].typed_config.codec_type: value HTTP3",
		rds + logWith("%NO_SUCH%"):                                            "access_log[0]: access log format: operator %NO_SUCH% is not supported",
		rds + `"max_request_headers_kb": 61,`:                                 "max_request_headers_kb: only values up to 60",
		rds + `"tracing": {"verbose": true},`:                                 "tracing.verbose: field is not supported",
		rds + `"stream_idle_timeout": "0s",`:                                  "stream_idle_timeout",
		rds + `"forward_client_cert_details": "SANITIZE_SET",`:                "uri",
		rds + `"upgrade_configs": [{"upgrade_type": "websocket"}],`:           "upgrade_configs", // of a route only
		`"rds": {"route_config_name": "r", "config_source": {"path": "/x"}},`: "config_source",
		rds + `"server_header_transformation": "APPEND_IF_ABSENT",`:           "server_header_transformation",
		`"route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "non_forwarding_action": {}}]}]},`: "non_forwarding_action",
	} {
		if _, err := FromProto(listenerWith(t, manager)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want it to name %q", manager, err, want)
		}
	}
}

func connectionLimit(t *testing.T, fields string) *listenerv3.Filter {
	t.Helper()
	return parse(t, new(listenerv3.Filter), `{"name": "limit", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit", `+fields+`}}`)
}

// limitAll gives every chain a limit.
func limitAll(t *testing.T, l *listenerv3.Listener) {
	t.Helper()
	for i, c := range l.FilterChains {
		c.Name = fmt.Sprint("chain ", i)
		c.Filters = append([]*listenerv3.Filter{connectionLimit(t, `"stat_prefix": "x", "max_connections": "1"`)}, c.Filters...)
	}
}

// What nothing counts by needs no name.
func TestNamesOfChains(t *testing.T) {
	l := listenerWith(t, rds)
	limitAll(t, l)
	if _, err := FromProto(l); err != nil {
		t.Error(err)
	}
	l.FilterChains[1].Filters = l.FilterChains[1].Filters[1:]
	for _, name := range []string{"", l.FilterChains[0].Name} {
		l.FilterChains[1].Name = name
		if _, err := FromProto(l); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestLimitsAndPings(t *testing.T) {
	l := listenerWith(t, rds)
	l.FilterChains[0].Filters = append([]*listenerv3.Filter{connectionLimit(t, `"stat_prefix": "x", "max_connections": "7"`)}, l.FilterChains[0].Filters...)
	r, err := FromProto(l)
	if err != nil {
		t.Fatal(err)
	}
	limited := 0
	for _, c := range r.(*Listener).Chains {
		if c.HTTP == nil || c.Limit == nil {
			continue
		}
		if limited++; *c.Limit != (snapshot.ConnectionLimit{StatPrefix: "x", Max: 7}) {
			t.Errorf("limit %+v", c.Limit)
		}
	}
	if limited != 1 {
		t.Errorf("%d chains have a limit", limited)
	}
	r, err = FromProto(parse(t, new(clusterv3.Cluster), `{"name": "c", "type": "STATIC", "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
 "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions", "explicit_http_config": {"http2_protocol_options": {"connection_keepalive": {"interval": "30s", "timeout": "5s"}}}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if p := r.(*Cluster).Template.HTTP2.Pings; p == nil || *p != (snapshot.Pings{Interval: 30 * time.Second, Timeout: 5 * time.Second}) {
		t.Errorf("pings %+v", p)
	}
	manager := rds + `"http2_protocol_options": {"connection_keepalive": {"interval": "1s", "timeout": "1s"}},`
	if _, err := FromProto(listenerWith(t, manager)); err == nil || !strings.Contains(err.Error(), "not to clients") {
		t.Errorf("pings to clients: %v", err)
	}
}

func TestCluster(t *testing.T) {
	r, err := FromProto(parse(t, new(clusterv3.Cluster), `{"name": "c", "type": "EDS", "connect_timeout": "2s", "lb_policy": "LEAST_REQUEST",
 "eds_cluster_config": {"eds_config": {"ads": {}}, "service_name": "svc"}, "circuit_breakers": {"thresholds": [{"max_connections": 7}]},
 "transport_socket": {"name": "tls", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", "sni": "x", `+tlsContext+`}}}`))
	if err != nil {
		t.Fatal(err)
	}
	c := r.(*Cluster)
	if c.Discovery != EDS || c.EDSName != "svc" || c.Template.ConnectTimeout != 2*time.Second || c.Template.LB != snapshot.LeastRequest ||
		c.Template.MaxConnections != 7 || c.TLS == nil || c.Template.Digest == "" {
		t.Errorf("cluster %+v", c)
	}
}

func TestClusterDigestLeavesEndpointsOut(t *testing.T) {
	digest := func(ip, timeout string) string {
		r, err := FromProto(parse(t, new(clusterv3.Cluster), fmt.Sprintf(`{"name": "c", "type": "STATIC", "connect_timeout": %q, "load_assignment": {"cluster_name": "c", "endpoints": [
 {"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": %q, "port_value": 1}}}}]}]}}`, timeout, ip)))
		if err != nil {
			t.Fatal(err)
		}
		return r.(*Cluster).Template.Digest
	}
	if digest("10.0.0.1", "1s") != digest("10.0.0.2", "1s") {
		t.Error("endpoints change the digest")
	}
	if digest("10.0.0.1", "1s") == digest("10.0.0.1", "2s") {
		t.Error("a timeout does not change the digest")
	}
}

func TestClusterRefusals(t *testing.T) {
	for text, want := range map[string]string{
		`{"name": "c", "type": "ORIGINAL_DST"}`:                  "type: value ORIGINAL_DST",
		`{"name": "c", "type": "EDS", "eds_cluster_config": {}}`: "eds_config",
		`{"name": "c", "outlier_detection": {"monitors": [{"name": "m", "typed_config": {"@type": "type.googleapis.com/envoy.config.core.v3.Address"}}]}}`: "monitors",
		`{"name": "c", "health_checks": [{"timeout": "1s", "interval": "1s", "unhealthy_threshold": 1, "healthy_threshold": 1, "tcp_health_check": {}}]}`:  "health_checks",
		`{"type": "STATIC"}`: "name",
		`{"name": "c", "type": "STATIC", "typed_extension_protocol_options": {"x": {"@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions", "explicit_http_config": {"http_protocol_options": {}}, "outlier_detection": {"error_matcher": {"http_response_headers_match": {"headers": [{"name": ":status", "string_match": {"exact": "503"}}]}}}}}}`:                                                                                                                                         "error_matcher: nothing judges",
		`{"name": "c", "typed_extension_protocol_options": {"x": {"@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions", "explicit_http_config": {"http2_protocol_options": {"connection_keepalive": {"timeout": "1s"}}}}}}`:                                                                                                                                                                                                                                                                "connection_keepalive: interval",
		`{"name": "c", "typed_extension_protocol_options": {"x": {"@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions", "explicit_http_config": {"http2_protocol_options": {"connection_keepalive": {"interval": "1s", "timeout": "1s", "connection_idle_interval": "1s"}}}}}}`:                                                                                                                                                                                                            "connection_idle_interval: field is not supported",
		`{"name": "c", "transport_socket": {"name": "p", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport", "transport_socket": {"name": "p", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport", "transport_socket": {"name": "raw", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"}}}}}}}`: "announced already",
		`{"name": "c", "transport_socket": {"name": "p", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport", "config": {"pass_through_tlvs": {}}, "transport_socket": {"name": "raw", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"}}}}}`:                                                                                                                                     "pass_through_tlvs: field is not supported",
		`{"name": "c", "transport_socket": {"name": "p", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport", "tlv_as_pool_key": true, "transport_socket": {"name": "raw", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"}}}}}`:                                                                                                                                                 "tlv_as_pool_key: field is not supported",
		`{"name": "c", "transport_socket": {"name": "tls", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"}}}`:                                                                                                                                                                                                                                                                                                                                                 "common_tls_context is missing",
		`{"name": "c", "typed_extension_protocol_options": {"x": {"@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions", "explicit_http_config": {"http2_protocol_options": {"initial_stream_window_size": 1000}}}}}`:                                                                                                                                                                                                                                                                       "InitialStreamWindowSize",
		`{"name": "c", "transport_socket": {"name": "tls", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", ` +
			strings.Replace(tlsContext, `"name": "default"`, `"name": "other"`, 1) + `}}}`: `"other"`,
	} {
		if _, err := FromProto(parse(t, new(clusterv3.Cluster), text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want it to name %q", text, err, want)
		}
	}
}

func TestEndpoints(t *testing.T) {
	r, err := FromProto(parse(t, new(endpointv3.ClusterLoadAssignment), `{"cluster_name": "c", "endpoints": [{"locality": {"zone": "z"}, "load_balancing_weight": 2, "priority": 3, "lb_endpoints": [
 {"load_balancing_weight": 5, "endpoint": {"address": {"socket_address": {"address": "10.0.0.1", "port_value": 80}}, "health_check_config": {"port_value": 81}}},
 {"health_status": "DRAINING", "endpoint": {"address": {"socket_address": {"address": "::1", "port_value": 80}}}}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(r.(*Endpoints).List); got != "[{10.0.0.1:80 5 true 10.0.0.1:81 3 { z } 2} {[::1]:80 1 false invalid AddrPort 3 { z } 2}]" {
		t.Errorf("got %s", got)
	}
	for text, want := range map[string]string{
		`{"cluster_name": "c", "endpoints": [{"priority": 129}]}`: "riority",
		`{"cluster_name": "c", "endpoints": [{"locality": {"zone": "a"}, "load_balancing_weight": 1}, {"locality": {"zone": "a"}, "load_balancing_weight": 2}]}`:                                                                                   "with another weight",
		`{"cluster_name": "c", "endpoints": [{"locality": {"zone": "a"}, "load_balancing_weight": 4294967295}, {"locality": {"zone": "b"}, "load_balancing_weight": 1}]}`:                                                                          "sum to more",
		`{"cluster_name": "c", "policy": {"overprovisioning_factor": 0}}`:                                                                                                                                                                          "verprovisioning",
		`{"cluster_name": "c", "policy": {"drop_overloads": [{"category": "x"}]}}`:                                                                                                                                                                 "drop_overloads: field is not supported",
		`{"cluster_name": "c", "policy": {"weighted_priority_health": true}}`:                                                                                                                                                                      "weighted_priority_health: field is not supported",
		`{"cluster_name": "c", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "h", "port_value": 80}}}}]}]}`:                                                                                              "not an IP",
		`{"cluster_name": "c", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "1.1.1.1", "port_value": 1}}}}, {"endpoint": {"address": {"socket_address": {"address": "1.1.1.1", "port_value": 1}}}}]}]}`: "twice",
	} {
		if _, err := FromProto(parse(t, new(endpointv3.ClusterLoadAssignment), text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want it to name %q", text, err, want)
		}
	}
}

func TestSecretWithAKeyIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{"name": "s", "tls_certificate": {"private_key": {"inline_string": "k"}}}`:                "tls_certificate: field is not supported",
		`{"name": "s", "validation_context": {"trusted_ca": {"inline_string": "no certificate"}}}`: "PEM",
		`{"name": "s"}`: "validation_context",
	} {
		if _, err := FromProto(parse(t, new(tlsv3.Secret), text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want it to name %q", text, err, want)
		}
	}
}

func TestDecodeRefusesOtherTypes(t *testing.T) {
	packed, err := anypb.New(new(clusterv3.Cluster))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []*anypb.Any{nil, packed, {TypeUrl: ListenerType, Value: []byte{0xff}}} {
		if _, err := Decode(ListenerType, p); err == nil {
			t.Errorf("%v was taken", p)
		}
	}
}

// Any bytes are taken or refused, the same way twice, and never crash.
func FuzzDecode(f *testing.F) {
	for i, m := range []proto.Message{
		listenerWith(f, rds),
		parse(f, new(clusterv3.Cluster), `{"name": "c", "type": "EDS", "eds_cluster_config": {"eds_config": {"ads": {}}}}`),
		parse(f, new(endpointv3.ClusterLoadAssignment), `{"cluster_name": "c"}`),
		parse(f, new(routev3.RouteConfiguration), `{"name": "r", "virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [{"match": {"safe_regex": {"regex": "a+"}}, "route": {"cluster": "c", "retry_policy": {"retry_on": "5xx"}}}]}]}`),
		parse(f, new(tlsv3.Secret), `{"name": "s", "validation_context": {}}`),
	} {
		raw, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(i, raw)
	}
	urls := []string{ListenerType, ClusterType, EndpointsType, RouteType, SecretType}
	f.Fuzz(func(t *testing.T, kind int, raw []byte) {
		url := urls[uint(kind)%uint(len(urls))]
		decode := func() string {
			r, err := Decode(url, &anypb.Any{TypeUrl: url, Value: raw})
			if err != nil {
				return err.Error()
			}
			return r.ResourceName()
		}
		if first, second := decode(), decode(); first != second {
			t.Errorf("decoded to %q, then to %q", first, second)
		}
	})
}
