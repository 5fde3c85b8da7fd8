package main

import "context"

// told is meshc-proxy with and without what it tells about requests: the metrics
// by who calls whom; beside them, spans of one request in a hundred; and a line of
// the access log for every request.
type told struct{ what string }

func (t told) name() string { return t.what }

func (t told) start(ctx context.Context, b *bench, h hop) (*running, error) {
	return meshc{}.start(ctx, b, h)
}

func telling(t *traffic, by implementation) {
	switch by.name() {
	case "spans":
		t.told = spansOn
	case "log":
		t.told = spansOn + logOn
	}
	if by.name() != "off" {
		t.node = "default/bench" // whose proxy it is makes it count who calls whom
	}
}

const spansOn = `"tracing":{"client_sampling":{"value":0},"random_sampling":{"value":1},"provider":{"name":"envoy.tracers.zipkin","typed_config":{
  "@type":"type.googleapis.com/envoy.config.trace.v3.ZipkinConfig","collector_cluster":"out","collector_endpoint":"/api/v2/spans",
  "collector_endpoint_version":"HTTP_JSON","trace_id_128bit":true,"shared_span_context":false}}},`

const logOn = `"access_log":[{"name":"file","typed_config":{"@type":"type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
  "path":"/dev/null","log_format":{"json_format":{"time":"%START_TIME%","method":"%REQ(:METHOD)%","path":"%REQ(:PATH)%","authority":"%REQ(:AUTHORITY)%",
  "protocol":"%PROTOCOL%","status":"%RESPONSE_CODE%","flags":"%RESPONSE_FLAGS%","duration":"%DURATION%","cluster":"%UPSTREAM_CLUSTER%","id":"%REQ(X-REQUEST-ID)%"}}}}],`
