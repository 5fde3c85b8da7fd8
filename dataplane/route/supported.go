package route

import "github.com/meshc/meshc/dataplane/resource/support"

// Supported lists the messages that Compile understands.
var Supported = []support.Message{
	{Name: "envoy.config.route.v3.RouteConfiguration", Fields: append([]support.Field{
		support.F("name", ""),
		support.F("virtual_hosts", ""),
		support.Only("validate_clusters", "a route to a cluster that is not there answers 503 NC", "false"),
		support.F("ignore_port_in_host_matching", ""),
		support.F("most_specific_header_mutations_wins", ""),
		support.F("typed_per_filter_config", "fault, RBAC, and what switches a filter on or off"),
	}, mutationFields...)},
	{Name: "envoy.config.route.v3.VirtualHost", Fields: append([]support.Field{
		support.F("name", ""),
		support.F("domains", "exact, `*.suffix`, `prefix.*` and `*`; compared with the port, without regard to ASCII case"),
		support.F("routes", "the first that matches is taken"),
		support.Only("require_tls", "", "NONE"),
		support.F("typed_per_filter_config", "fault, RBAC, and what switches a filter on or off"),
	}, mutationFields...)},
	{Name: "envoy.config.route.v3.Route", Fields: append([]support.Field{
		support.F("name", ""),
		support.F("match", ""),
		support.F("route", ""),
		support.F("direct_response", ""),
		support.F("redirect", ""),
		support.F("metadata", "namespace `meshc.dev` only"),
		support.F("stat_prefix", "has requests of the route counted"),
		support.F("typed_per_filter_config", "fault, RBAC, and what switches a filter on or off"),
	}, mutationFields...)},
	{Name: "envoy.config.route.v3.FilterConfig", Fields: []support.Field{
		support.Only("config", "empty: the filter is on, with its own config", ""),
		support.F("disabled", "the filter is off, whatever it is"),
	}},
	{Name: "envoy.config.route.v3.RouteMatch", Fields: []support.Field{
		support.F("prefix", "of the path without its query"),
		support.F("path", "the whole path without its query"),
		support.F("safe_regex", "RE2, the whole path without its query"),
		support.F("path_separated_prefix", ""),
		support.F("case_sensitive", "not for `safe_regex`"),
		support.F("runtime_fraction", "drawn from the stream's random value; `runtime_key` is not read"),
		support.F("headers", ""),
		support.F("query_parameters", "the first value of a key, not decoded"),
		support.F("cookies", "the first value of a name"),
		support.F("dynamic_metadata", "of verified tokens"),
	}},
	{Name: "envoy.config.route.v3.HeaderMatcher", Fields: []support.Field{
		support.F("name", "`:method`, `:path`, `:authority` and `:scheme` too; of several values one must match, and none if inverted"),
		support.F("string_match", ""),
		support.F("present_match", ""),
		support.F("range_match", ""),
		support.F("invert_match", ""),
		support.F("treat_missing_header_as_empty", "not with `present_match`"),
	}},
	{Name: "envoy.type.matcher.v3.MetadataMatcher", Fields: []support.Field{
		support.F("filter", ""), support.F("path", ""), support.F("value", ""), support.F("invert", ""),
	}},
	{Name: "envoy.type.matcher.v3.MetadataMatcher.PathSegment", Fields: []support.Field{support.F("key", "")}},
	{Name: "envoy.type.matcher.v3.ValueMatcher", Fields: []support.Field{
		support.F("string_match", ""), support.F("bool_match", ""), support.F("double_match", ""), support.F("present_match", ""), support.F("list_match", ""), support.F("or_match", ""),
	}},
	{Name: "envoy.type.matcher.v3.DoubleMatcher", Fields: []support.Field{support.F("exact", ""), support.F("range", "")}},
	{Name: "envoy.type.v3.DoubleRange", Fields: []support.Field{support.F("start", "included"), support.F("end", "excluded")}},
	{Name: "envoy.type.matcher.v3.ListMatcher", Fields: []support.Field{support.F("one_of", "")}},
	{Name: "envoy.type.matcher.v3.OrMatcher", Fields: []support.Field{support.F("value_matchers", "")}},
	{Name: "envoy.config.route.v3.QueryParameterMatcher", Fields: []support.Field{
		support.F("name", ""), support.F("string_match", ""), support.F("present_match", ""),
	}},
	{Name: "envoy.config.route.v3.CookieMatcher", Fields: []support.Field{
		support.F("name", ""), support.F("string_match", ""), support.F("invert_match", ""),
	}},
	{Name: "envoy.type.matcher.v3.StringMatcher", Fields: []support.Field{
		support.F("exact", ""), support.F("prefix", ""), support.F("suffix", ""), support.F("contains", ""),
		support.F("safe_regex", "RE2, the whole value"),
		support.F("ignore_case", "not for `safe_regex`"),
	}},
	{Name: "envoy.type.matcher.v3.RegexMatcher", Fields: []support.Field{support.F("regex", "")}},
	{Name: "envoy.type.matcher.v3.PathMatcher", Fields: []support.Field{support.F("path", "without its query")}},
	{Name: "envoy.type.v3.Int64Range", Fields: []support.Field{
		support.F("start", "included"), support.F("end", "excluded"),
	}},
	{Name: "envoy.config.core.v3.RuntimeFractionalPercent", Fields: []support.Field{support.F("default_value", "")}},
	{Name: "envoy.type.v3.FractionalPercent", Fields: []support.Field{
		support.F("numerator", ""), support.F("denominator", ""),
	}},
	{Name: "envoy.config.route.v3.RouteAction", Fields: []support.Field{
		support.F("cluster", ""),
		support.F("weighted_clusters", ""),
		support.Only("cluster_not_found_response_code", "", "SERVICE_UNAVAILABLE"),
		support.F("timeout", "15 s when absent, 0 is none"),
		support.F("idle_timeout", "above 0"),
		support.F("retry_policy", ""),
		support.F("host_rewrite_literal", ""),
		support.F("regex_rewrite", ""),
		support.F("max_stream_duration", ""),
		support.F("hash_policy", ""),
		support.F("request_mirror_policies", "not of upgrades; copies that are 256 KiB behind are given up"),
		support.F("upgrade_configs", "of HTTP/1.1 on both sides"),
	}},
	{Name: "envoy.config.route.v3.RouteAction.RequestMirrorPolicy", Fields: []support.Field{
		support.F("cluster", ""), support.F("runtime_fraction", "all when absent; drawn from the stream's random value"),
		support.F("disable_shadow_host_suffix_append", ""),
	}},
	{Name: "envoy.config.route.v3.RouteAction.UpgradeConfig", Fields: []support.Field{
		support.F("upgrade_type", "not CONNECT or CONNECT-UDP, which are no upgrades, nor h2c"), support.F("enabled", ""),
	}},
	{Name: "envoy.config.route.v3.RouteAction.HashPolicy", Fields: []support.Field{
		support.F("header", ""), support.F("cookie", ""), support.F("query_parameter", ""), support.F("connection_properties", ""),
		support.F("terminal", ""),
	}},
	{Name: "envoy.config.route.v3.RouteAction.HashPolicy.Header", Fields: []support.Field{support.F("header_name", "")}},
	{Name: "envoy.config.route.v3.RouteAction.HashPolicy.Cookie", Fields: []support.Field{
		support.F("name", ""), support.F("ttl", "a client without the cookie gets one; whole seconds"),
		support.F("path", ""), support.F("attributes", ""),
	}},
	{Name: "envoy.config.route.v3.RouteAction.HashPolicy.CookieAttribute", Fields: []support.Field{
		support.F("name", ""), support.F("value", ""),
	}},
	{Name: "envoy.config.route.v3.RouteAction.HashPolicy.QueryParameter", Fields: []support.Field{support.F("name", "the first value, not decoded")}},
	{Name: "envoy.config.route.v3.RouteAction.HashPolicy.ConnectionProperties", Fields: []support.Field{support.F("source_ip", "")}},
	{Name: "envoy.config.route.v3.RouteAction.MaxStreamDuration", Fields: []support.Field{
		support.F("max_stream_duration", "0 is none"),
		support.F("grpc_timeout_header_max", "a request's grpc-timeout counts; 0 is no bound on it"),
		support.F("grpc_timeout_header_offset", ""),
	}},
	{Name: "envoy.config.route.v3.WeightedCluster", Fields: []support.Field{
		support.F("clusters", ""), support.F("use_hash_policy", "what has no key is drawn at random"),
	}},
	{Name: "envoy.config.route.v3.WeightedCluster.ClusterWeight", Fields: append([]support.Field{
		support.F("name", ""), support.F("weight", "required"),
	}, mutationFields...)},
	{Name: "envoy.config.route.v3.RetryPolicy", Fields: []support.Field{
		support.F("retry_on", "`connect-failure`, `refused-stream`, `reset`, `reset-before-request`, `gateway-error`, `5xx`, `retriable-4xx`, `retriable-status-codes`; of a `grpc-status` in the response head `cancelled`, `deadline-exceeded`, `internal`, `resource-exhausted`, `unavailable`"),
		support.F("num_retries", "1 when absent"),
		support.F("per_try_timeout", ""),
		support.F("retriable_status_codes", ""),
		support.F("retry_back_off", ""),
		support.F("per_try_idle_timeout", "0 is none"),
		support.F("retry_host_predicate", "previous_hosts"),
		support.F("host_selection_retry_max_attempts", "1 when absent, up to 1000"),
		support.F("rate_limited_retry_back_off", ""),
		support.F("retriable_request_headers", "`:method` only"),
	}},
	{Name: "envoy.config.route.v3.RetryPolicy.RetryHostPredicate", Fields: []support.Field{
		support.F("name", ""), support.F("typed_config", ""),
	}},
	{Name: "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
	{Name: "envoy.config.route.v3.RetryPolicy.RateLimitedRetryBackOff", Fields: []support.Field{
		support.F("reset_headers", "the first that says a pause within `max_interval`"), support.F("max_interval", "300 s when absent"),
	}},
	{Name: "envoy.config.route.v3.RetryPolicy.ResetHeader", Fields: []support.Field{
		support.F("name", "its first value"), support.F("format", ""),
	}},
	{Name: "envoy.config.route.v3.RetryPolicy.RetryBackOff", Fields: []support.Field{
		support.F("base_interval", ""), support.F("max_interval", ""),
	}},
	{Name: "envoy.config.route.v3.RedirectAction", Fields: []support.Field{
		support.F("https_redirect", ""), support.F("scheme_redirect", ""), support.F("host_redirect", ""), support.F("port_redirect", ""),
		support.F("path_redirect", ""), support.F("regex_rewrite", ""), support.F("response_code", ""), support.F("strip_query", ""),
	}},
	{Name: "envoy.type.matcher.v3.RegexMatchAndSubstitute", Fields: []support.Field{
		support.F("pattern", "RE2, every match in the path without its query"), support.F("substitution", "`\\0` to `\\9` and `\\\\`"),
	}},
	{Name: "envoy.config.route.v3.DirectResponseAction", Fields: []support.Field{
		support.F("status", ""), support.F("body", "inline, up to 4,096 bytes"),
	}},
	{Name: "envoy.config.core.v3.DataSource", Fields: []support.Field{
		support.F("inline_string", ""), support.F("inline_bytes", ""), support.F("filename", "of certificates and bundles only"),
	}},
	{Name: "envoy.config.core.v3.HeaderValueOption", Fields: []support.Field{
		support.F("header", ""), support.F("append_action", ""), support.F("keep_empty_value", ""),
	}},
	{Name: "envoy.config.core.v3.HeaderValue", Fields: []support.Field{
		support.F("key", "not a pseudo header and not `host`"),
		support.F("value", "plain text, `%%` for a percent sign; no command operators"),
	}},
	{Name: "envoy.config.core.v3.Metadata", Fields: []support.Field{
		support.F("filter_metadata", "namespace `meshc.dev` only"),
	}},
}

var mutationFields = []support.Field{
	support.F("request_headers_to_add", ""),
	support.F("request_headers_to_remove", ""),
	support.F("response_headers_to_add", ""),
	support.F("response_headers_to_remove", ""),
}
