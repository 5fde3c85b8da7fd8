package resource

import (
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/meshc/meshc/dataplane/resource/support"
)

var clusterMessages = []support.Message{
	{Name: "envoy.config.cluster.v3.Cluster", Fields: []support.Field{
		support.F("name", "required"),
		support.F("metadata", "who serves it, for metrics: service, namespace, host and version"),
		support.Only("type", "", "STATIC", "STRICT_DNS", "EDS"),
		support.F("eds_cluster_config", ""),
		support.F("connect_timeout", "5 s when absent"),
		support.Only("lb_policy", "", "ROUND_ROBIN", "LEAST_REQUEST", "RANDOM", "RING_HASH", "MAGLEV"),
		support.F("round_robin_lb_config", ""), support.F("least_request_lb_config", ""),
		support.F("ring_hash_lb_config", ""), support.F("maglev_lb_config", ""),
		support.F("common_lb_config", ""),
		support.F("outlier_detection", ""),
		support.F("health_checks", "one, of HTTP/1.1 or TCP"),
		support.F("ignore_health_on_host_removal", "needed with `health_checks`"),
		support.F("load_assignment", ""),
		support.F("circuit_breakers", ""),
		support.F("typed_extension_protocol_options", ""),
		support.F("transport_socket", "TLS or raw buffer"),
		support.F("dns_lookup_family", ""),
		support.F("upstream_connection_options", ""),
		support.F("track_cluster_stats", ""),
	}},
	{Name: "envoy.config.cluster.v3.Cluster.EdsClusterConfig", Fields: []support.Field{
		support.F("eds_config", "ADS"), support.F("service_name", "the cluster's name when absent"),
	}},
	{Name: "envoy.config.cluster.v3.TrackClusterStats", Fields: []support.Field{
		support.F("timeout_budgets", ""), support.F("request_response_sizes", ""), support.F("per_endpoint_stats", ""),
	}},
	{Name: "envoy.config.cluster.v3.UpstreamConnectionOptions", Fields: []support.Field{support.F("tcp_keepalive", "")}},
	{Name: "envoy.config.core.v3.TcpKeepalive", Fields: []support.Field{
		support.F("keepalive_probes", "1 to 127"), support.F("keepalive_time", "1 to 32767 s"), support.F("keepalive_interval", "1 to 32767 s"),
	}},
	{Name: "envoy.config.cluster.v3.CircuitBreakers", Fields: []support.Field{support.F("thresholds", "one")}},
	{Name: "envoy.config.cluster.v3.CircuitBreakers.Thresholds", Fields: []support.Field{
		support.Only("priority", "", "DEFAULT"),
		support.F("max_connections", "above 0, as those that follow; every event loop may have one per endpoint all the same"),
		support.F("max_pending_requests", ""),
		support.F("max_requests", ""), support.F("max_retries", ""),
		support.F("retry_budget", "takes the place of `max_retries`"),
	}},
	{Name: "envoy.config.cluster.v3.CircuitBreakers.Thresholds.RetryBudget", Fields: []support.Field{
		support.F("budget_percent", "20 when absent"), support.F("min_retry_concurrency", "3 when absent"),
	}},
	{Name: "envoy.config.cluster.v3.Cluster.CommonLbConfig", Fields: []support.Field{
		support.F("healthy_panic_threshold", "of each priority; 50 when absent, 0 is never; decimals are cut off"),
		support.F("locality_weighted_lb_config", ""),
	}},
	{Name: "envoy.config.cluster.v3.Cluster.CommonLbConfig.LocalityWeightedLbConfig"},
	{Name: "envoy.config.cluster.v3.Cluster.RoundRobinLbConfig", Fields: []support.Field{support.F("slow_start_config", "")}},
	{Name: "envoy.config.cluster.v3.Cluster.LeastRequestLbConfig", Fields: []support.Field{
		support.F("choice_count", "2 when absent"), support.F("slow_start_config", ""),
	}},
	{Name: "envoy.config.cluster.v3.Cluster.SlowStartConfig", Fields: []support.Field{
		support.F("slow_start_window", "0 is none"), support.F("aggression", "1 when absent"), support.F("min_weight_percent", "10 when absent"),
	}},
	{Name: "envoy.config.core.v3.RuntimeDouble", Fields: []support.Field{
		support.F("default_value", ""), support.F("runtime_key", "nothing sets it: there is no runtime"),
	}},
	{Name: "envoy.config.cluster.v3.Cluster.RingHashLbConfig", Fields: []support.Field{
		support.F("minimum_ring_size", "1024 when absent"), support.F("maximum_ring_size", "8388608 when absent"),
		support.Only("hash_function", "", "XX_HASH"),
	}},
	{Name: "envoy.config.cluster.v3.Cluster.MaglevLbConfig", Fields: []support.Field{support.F("table_size", "a prime; 65537 when absent")}},
	{Name: "envoy.config.core.v3.HealthCheck", Fields: []support.Field{
		support.F("timeout", ""), support.F("interval", ""), support.F("no_traffic_interval", "60 s when absent"),
		support.F("unhealthy_threshold", ""), support.F("healthy_threshold", ""),
		support.F("http_health_check", ""), support.F("tcp_health_check", ""),
		support.F("grpc_health_check", "of clusters that speak HTTP/2"),
	}},
	{Name: "envoy.config.core.v3.HealthCheck.HttpHealthCheck", Fields: []support.Field{
		support.F("host", "the cluster's name when empty"), support.F("path", ""), support.F("expected_statuses", "200 when empty"),
		support.F("method", "GET"), support.F("codec_client_type", "HTTP1"),
	}},
	{Name: "envoy.config.core.v3.HealthCheck.TcpHealthCheck", Fields: []support.Field{support.F("send", ""), support.F("receive", "")}},
	{Name: "envoy.config.core.v3.HealthCheck.GrpcHealthCheck", Fields: []support.Field{
		support.F("service_name", ""), support.F("authority", "the cluster's name when empty"),
	}},
	{Name: "envoy.config.core.v3.HealthCheck.Payload", Fields: []support.Field{
		support.F("text", "in hexadecimal"), support.F("binary", ""),
	}},
	{Name: "envoy.config.endpoint.v3.Endpoint.HealthCheckConfig", Fields: []support.Field{
		support.F("port_value", ""), support.F("address", "an IP address"),
	}},
	{Name: "envoy.config.cluster.v3.OutlierDetection", Fields: outlierFields()},
	{Name: "envoy.type.v3.Percent", Fields: []support.Field{support.F("value", "")}},
	{Name: "envoy.extensions.upstreams.http.v3.HttpProtocolOptions", Fields: []support.Field{
		support.F("common_http_protocol_options", ""),
		support.F("explicit_http_config", ""),
		support.F("use_downstream_protocol_config", ""),
		support.F("outlier_detection", ""),
	}},
	{Name: "envoy.extensions.upstreams.http.v3.HttpProtocolOptions.OutlierDetection", Fields: []support.Field{support.F("error_matcher", "statuses of answers; beside the cluster's `outlier_detection`")}},
	{Name: "envoy.config.common.matcher.v3.MatchPredicate", Fields: []support.Field{
		support.F("or_match", "of `http_response_headers_match`"), support.F("http_response_headers_match", ""),
	}},
	{Name: "envoy.config.common.matcher.v3.MatchPredicate.MatchSet", Fields: []support.Field{support.F("rules", "")}},
	{Name: "envoy.config.common.matcher.v3.HttpHeadersMatch", Fields: []support.Field{support.F("headers", "one, of `:status`")}},
	{Name: "envoy.extensions.upstreams.http.v3.HttpProtocolOptions.ExplicitHttpConfig", Fields: []support.Field{
		support.F("http_protocol_options", ""),
		support.F("http2_protocol_options", "over TLS, h2 must be agreed on"),
	}},
	{Name: "envoy.config.core.v3.Http1ProtocolOptions"},
	{Name: "envoy.config.endpoint.v3.ClusterLoadAssignment", Fields: []support.Field{
		support.F("cluster_name", ""), support.F("endpoints", ""), support.F("policy", ""),
	}},
	{Name: "envoy.config.endpoint.v3.ClusterLoadAssignment.Policy", Fields: []support.Field{
		support.F("overprovisioning_factor", "above 0; 140 when absent"),
	}},
	{Name: "envoy.config.endpoint.v3.LocalityLbEndpoints", Fields: []support.Field{
		support.F("locality", "once in a priority, or with the same weight"),
		support.F("lb_endpoints", ""),
		support.F("priority", "0 to 128; gaps are closed"),
		support.F("load_balancing_weight", "of `locality_weighted_lb_config`; as in Envoy without it, endpoints are weighed over all localities of a priority"),
	}},
	{Name: "envoy.config.core.v3.Locality", Fields: []support.Field{
		support.F("region", ""), support.F("zone", ""), support.F("sub_zone", ""),
	}},
	{Name: "envoy.config.endpoint.v3.LbEndpoint", Fields: []support.Field{
		support.F("endpoint", ""),
		support.Only("health_status", "the last three take no traffic", "UNKNOWN", "HEALTHY", "UNHEALTHY", "DRAINING", "TIMEOUT"),
		support.F("load_balancing_weight", "1 when absent"),
	}},
	{Name: "envoy.config.endpoint.v3.Endpoint", Fields: []support.Field{support.F("address", "an IP address; a name in STRICT_DNS clusters"), support.F("health_check_config", "not of names")}},
}

const t = "envoy.extensions.transport_sockets.tls.v3."

var tlsMessages = []support.Message{
	{Name: t + "DownstreamTlsContext", Fields: []support.Field{
		support.F("common_tls_context", ""), support.F("require_client_certificate", ""), support.F("require_sni", ""),
		support.F("disable_stateless_session_resumption", "always so"), support.F("disable_stateful_session_resumption", "always so"),
	}},
	{Name: t + "UpstreamTlsContext", Fields: []support.Field{
		support.F("common_tls_context", ""), support.F("sni", ""), support.Only("max_session_keys", "sessions are never resumed", "0"),
	}},
	{Name: t + "CommonTlsContext", Fields: []support.Field{
		support.F("tls_params", ""),
		support.F("tls_certificate_sds_secret_configs", "`default` from `meshc-agent`: the proxy's own identity"),
		support.F("validation_context", "in a client's context this or another, but to a server outside the mesh that is not verified"),
		support.F("validation_context_sds_secret_config", "`ROOTCA` from `meshc-agent`, or any name over ADS"),
		support.F("combined_validation_context", ""),
		support.F("alpn_protocols", ""),
	}},
	{Name: t + "TlsParameters", Fields: []support.Field{
		support.Only("tls_minimum_protocol_version", "", "TLS_AUTO", "TLSv1_2", "TLSv1_3"),
		support.Only("tls_maximum_protocol_version", "", "TLS_AUTO", "TLSv1_2", "TLSv1_3"),
		support.F("cipher_suites", "of TLS 1.2, with forward secrecy and AEAD"), support.F("ecdh_curves", ""),
	}},
	{Name: t + "CommonTlsContext.CombinedCertificateValidationContext", Fields: []support.Field{
		support.F("default_validation_context", ""), support.F("validation_context_sds_secret_config", ""),
	}},
	{Name: t + "CertificateValidationContext", Fields: []support.Field{
		support.F("trusted_ca", ""), support.F("match_typed_subject_alt_names", "required in a client's context"),
		support.F("verify_certificate_spki", "beside all else"),
		support.Only("trust_chain_verification", "alone: a server outside the mesh that is not verified", "ACCEPT_UNTRUSTED"),
		support.F("suppress_client_ca_list", "always so"), support.F("custom_validator_config", "of secrets: trust bundles of several trust domains"),
	}},
	{Name: t + "SubjectAltNameMatcher", Fields: []support.Field{
		support.Only("san_type", "DNS: of servers outside the mesh", "URI", "DNS"), support.F("matcher", "DNS: `exact` only"),
	}},
	{Name: t + "SdsSecretConfig", Fields: []support.Field{
		support.F("name", ""), support.F("sds_config", "ADS, or gRPC from `meshc-agent`"),
	}},
	{Name: t + "Secret", Fields: []support.Field{
		support.F("name", "required"), support.F("validation_context", "trusted_ca, or custom_validator_config; a private key never comes over xDS"),
	}},
	{Name: t + "SPIFFECertValidatorConfig", Fields: []support.Field{support.F("trust_domains", "of secrets; each root has the SPIFFE ID of its trust domain")}},
	{Name: t + "SPIFFECertValidatorConfig.TrustDomain", Fields: []support.Field{support.F("name", ""), support.F("trust_bundle", "")}},
	{Name: "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"},
}

var sourceMessages = []support.Message{
	{Name: "envoy.config.core.v3.ConfigSource", Fields: []support.Field{
		support.F("ads", ""),
		support.F("api_config_source", "of secrets from `meshc-agent`"),
		support.Only("resource_api_version", "", "V3"),
		support.F("initial_fetch_timeout", "a resource warms until it is complete"),
	}},
	{Name: "envoy.config.core.v3.AggregatedConfigSource"},
	{Name: "envoy.config.core.v3.ApiConfigSource", Fields: []support.Field{
		support.Only("api_type", "", "GRPC", "DELTA_GRPC"),
		support.Only("transport_api_version", "", "V3"),
		support.F("grpc_services", "one"),
		support.F("set_node_on_first_message_only", "always so"),
	}},
	{Name: "envoy.config.core.v3.GrpcService", Fields: []support.Field{support.F("envoy_grpc", ""), support.F("timeout", "of external authorization, and of requests to collectors: 10 s when absent or 0")}},
	{Name: "envoy.config.core.v3.GrpcService.EnvoyGrpc", Fields: []support.Field{
		support.F("cluster_name", ""), support.F("authority", "of services that filters ask, and of collectors; the cluster's name when absent"),
	}},
}

var bootstrapMessages = []support.Message{
	{Name: "envoy.config.bootstrap.v3.Bootstrap", Fields: []support.Field{
		support.F("node", ""), support.F("static_resources", ""), support.F("dynamic_resources", ""), support.F("admin", ""),
		support.F("stats_config", ""), support.F("stats_sinks", "OTLP"), support.F("stats_flush_interval", "of `stats_sinks`, 5 s when absent"),
		support.F("layered_runtime", "Envoy's bound of expressions; here RE2 in Go has its own"),
	}},
	{Name: "envoy.config.metrics.v3.StatsSink", Fields: []support.Field{support.F("name", ""), support.F("typed_config", "")}},
	{Name: "envoy.extensions.stat_sinks.open_telemetry.v3.SinkConfig", Fields: []support.Field{
		support.F("grpc_service", "its cluster may come over xDS"),
		support.F("emit_tags_as_attributes", "must be true"), support.F("use_tag_extracted_name", "must be true: names are those of a scrape"),
	}},
	{Name: "envoy.config.bootstrap.v3.LayeredRuntime", Fields: []support.Field{support.F("layers", "")}},
	{Name: "envoy.config.bootstrap.v3.RuntimeLayer", Fields: []support.Field{
		support.F("name", ""), support.F("static_layer", "`re2.max_program_size.error_level` only"),
	}},
	{Name: "envoy.config.core.v3.Node", Fields: []support.Field{
		support.F("id", ""), support.F("cluster", ""), support.F("metadata", "sent to the control plane; version is in metrics"), support.F("locality", ""),
	}},
	{Name: "envoy.config.bootstrap.v3.Bootstrap.StaticResources", Fields: []support.Field{
		support.F("listeners", ""), support.F("clusters", ""), support.F("secrets", "trust bundles, for contexts that name them"),
	}},
	{Name: "envoy.config.bootstrap.v3.Bootstrap.DynamicResources", Fields: []support.Field{
		support.F("lds_config", "ADS"), support.F("cds_config", "ADS"), support.F("ads_config", "DELTA_GRPC"),
	}},
	{Name: "envoy.config.bootstrap.v3.Admin", Fields: []support.Field{support.F("address", "an address or a pipe")}},
}

// outlierFields are all but extensions: defaults are Envoy's.
func outlierFields() []support.Field {
	var out []support.Field
	for _, name := range []protoreflect.Name{
		"consecutive_5xx", "interval", "base_ejection_time", "max_ejection_percent", "enforcing_consecutive_5xx",
		"enforcing_success_rate", "success_rate_minimum_hosts", "success_rate_request_volume", "success_rate_stdev_factor",
		"consecutive_gateway_failure", "enforcing_consecutive_gateway_failure", "split_external_local_origin_errors",
		"consecutive_local_origin_failure", "enforcing_consecutive_local_origin_failure", "enforcing_local_origin_success_rate",
		"failure_percentage_threshold", "enforcing_failure_percentage", "enforcing_failure_percentage_local_origin",
		"failure_percentage_minimum_hosts", "failure_percentage_request_volume", "max_ejection_time", "max_ejection_time_jitter",
		"successful_active_health_check_uneject_host", "always_eject_one_host",
	} {
		out = append(out, support.F(name, ""))
	}
	return out
}
