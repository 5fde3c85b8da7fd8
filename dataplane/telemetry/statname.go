package telemetry

import "strings"

// statName is what Envoy calls a series before labels are taken out of its name,
// which is what a StatsMatcher looks at: cluster.<name>.upstream_rq_2xx for
// envoy_cluster_upstream_rq_xx. What Envoy does not count has its own name behind
// "meshc.".
func statName(name string, labels []Label) string {
	for _, s := range statScopes {
		rest, ok := strings.CutPrefix(name, s.metric)
		if !ok {
			continue
		}
		var b strings.Builder
		b.WriteString(s.stat)
		for _, part := range s.parts {
			if v := labelOf(labels, part.label); v != "" {
				b.WriteString(part.before)
				b.WriteString(v)
				b.WriteByte('.')
			}
		}
		b.WriteString(s.tail)
		b.WriteString(dotted(rest, labels))
		return b.String()
	}
	return "meshc." + name
}

// statScope is how the names of one kind of Envoy's statistics begin.
type statScope struct {
	metric string // as Prometheus has it
	stat   string // as Envoy has it
	parts  []statPart
	tail   string // behind parts
}

// statPart is a part of the name that is a label.
type statPart struct{ label, before string }

// statScopes: the first that fits is taken.
var statScopes = []statScope{
	{"envoy_cluster_manager_cds_", "cluster_manager.cds.", nil, ""},
	{"envoy_listener_manager_lds_", "listener_manager.lds.", nil, ""},
	{"envoy_cluster_eds_", "cluster.eds.", nil, ""},
	{"envoy_cluster_endpoint_", "cluster.", []statPart{{"envoy_cluster_name", ""}, {"envoy_endpoint_address", "endpoint."}}, ""},
	{"envoy_cluster_", "cluster.", []statPart{{"envoy_cluster_name", ""}}, ""},
	{"envoy_http_local_rate_limit_", "", []statPart{{"envoy_local_http_ratelimit_prefix", ""}}, "http_local_rate_limit."},
	{"envoy_http_rds_", "http.rds.", nil, ""},
	{"envoy_http_", "http.", []statPart{{"envoy_http_conn_manager_prefix", ""}}, ""},
	{"envoy_tcp_", "tcp.", []statPart{{"envoy_tcp_prefix", ""}}, ""},
	{"envoy_listener_", "listener.", []statPart{{"envoy_listener_address", ""}}, ""},
	{"envoy_connection_limit_", "connection_limit.", []statPart{{"envoy_connection_limit_prefix", ""}}, ""},
	{"envoy_vhost_route_", "vhost.", []statPart{{"envoy_virtual_host", ""}, {"envoy_route", "route."}}, ""},
	{"envoy_control_plane_", "control_plane.", nil, ""},
	{"envoy_server_", "server.", nil, ""},
	{"envoy_sds_", "sds.", nil, ""},
	{"envoy_tracing_opentelemetry_", "tracing.opentelemetry.", nil, ""},
	{"envoy_tracing_zipkin_", "tracing.zipkin.", nil, ""},
	{"envoy_access_logs_open_telemetry_access_log_", "access_logs.open_telemetry_access_log.", nil, ""},
	{"envoy_access_logs_", "access_logs.", nil, ""},
}

// statParts are the parts that names have within.
var statParts = []string{
	"outlier_detection_", "health_check_", "ssl_", "http1_", "http2_", "retry_", "external_", "internal_", "zone_",
	"fault_", "cors_", "rbac_", "jwt_authn_", "ext_authz_", "ratelimit_", "admission_control_", "compressor_",
}

// dotted is the rest of a name: one with a class or code of status has it in place of
// its label.
func dotted(rest string, labels []Label) string {
	before := ""
	for _, p := range statParts {
		if after, ok := strings.CutPrefix(rest, p); ok {
			before, rest = strings.TrimSuffix(p, "_")+".", after
			break
		}
	}
	if class := labelOf(labels, "envoy_response_code_class"); class != "" {
		return before + strings.TrimSuffix(rest, "xx") + class + "xx"
	}
	if code := labelOf(labels, "envoy_response_code"); code != "" {
		return before + rest + "_" + code
	}
	return before + rest
}

func labelOf(labels []Label, name string) string {
	for _, l := range labels {
		if l.Name == name {
			return l.Value
		}
	}
	return ""
}
