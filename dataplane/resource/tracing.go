package resource

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tracev3 "github.com/envoyproxy/go-control-plane/envoy/config/trace/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tagv3 "github.com/envoyproxy/go-control-plane/envoy/type/tracing/v3"

	"github.com/meshc/meshc/dataplane/resource/support"
	"github.com/meshc/meshc/dataplane/snapshot"
)

var tracingMessages = []support.Message{
	{Name: p + "HttpConnectionManager.Tracing", Fields: []support.Field{
		support.F("client_sampling", "must be 0: x-client-trace-id has no say"),
		support.F("random_sampling", "of traces that begin here; 100 when absent"),
		support.F("custom_tags", "literal, request_header and environment"),
		support.F("provider", "OpenTelemetryConfig or ZipkinConfig"),
		support.F("spawn_upstream_span", ""),
	}},
	{Name: "envoy.config.trace.v3.Tracing.Http", Fields: []support.Field{support.F("name", ""), support.F("typed_config", "")}},
	{Name: "envoy.config.trace.v3.OpenTelemetryConfig", Fields: []support.Field{support.F("grpc_service", ""), support.F("service_name", "`unknown_service:envoy` when absent")}},
	{Name: "envoy.config.trace.v3.ZipkinConfig", Fields: []support.Field{
		support.F("collector_cluster", "required"), support.F("collector_hostname", ""), support.F("collector_endpoint", "a path"),
		support.Only("collector_endpoint_version", "", "HTTP_JSON"),
		support.Only("trace_id_128bit", "", "true"), support.F("shared_span_context", "must be false"),
		support.F("trace_context_option", ""),
	}},
	{Name: "envoy.type.tracing.v3.CustomTag", Fields: []support.Field{
		support.F("tag", ""), support.F("literal", ""), support.F("request_header", ""), support.F("environment", "read when it is configured"),
	}},
	{Name: "envoy.type.tracing.v3.CustomTag.Literal", Fields: []support.Field{support.F("value", "")}},
	{Name: "envoy.type.tracing.v3.CustomTag.Header", Fields: []support.Field{support.F("name", ""), support.F("default_value", "")}},
	{Name: "envoy.type.tracing.v3.CustomTag.Environment", Fields: []support.Field{support.F("name", ""), support.F("default_value", "")}},
}

// defaultTraced is what Envoy calls a service that has no name.
const defaultTraced = "unknown_service:envoy"

func decodeTracing(m *hcmv3.HttpConnectionManager_Tracing) (*snapshot.Tracing, error) {
	if m == nil || m.GetProvider() == nil { // without a provider there is none in a bootstrap either
		return nil, nil
	}
	t := &snapshot.Tracing{Millionths: 1_000_000, Edge: m.GetSpawnUpstreamSpan().GetValue()}
	if m.GetClientSampling() == nil || m.GetClientSampling().GetValue() != 0 {
		return nil, errors.New("client_sampling: must be 0")
	}
	if share := m.GetRandomSampling(); share != nil {
		t.Millionths = uint32(math.Round(share.GetValue() * 10_000))
	}
	for _, tag := range m.GetCustomTags() {
		t.Tags = append(t.Tags, traceTag(tag))
	}
	config, err := m.GetProvider().GetTypedConfig().UnmarshalNew()
	if err != nil {
		return nil, fmt.Errorf("provider: %w", err)
	}
	switch c := config.(type) {
	case *tracev3.OpenTelemetryConfig:
		if t.Service = c.GetServiceName(); t.Service == "" {
			t.Service = defaultTraced
		}
		t.Collector, err = collector(c.GetGrpcService())
	case *tracev3.ZipkinConfig:
		err = zipkin(t, c)
	default:
		err = fmt.Errorf("%s is not a tracer of this proxy", config.ProtoReflect().Descriptor().FullName())
	}
	if err != nil {
		return nil, fmt.Errorf("provider: %w", err)
	}
	return t, nil
}

func zipkin(t *snapshot.Tracing, c *tracev3.ZipkinConfig) error {
	switch {
	case c.GetCollectorCluster() == "" || !strings.HasPrefix(c.GetCollectorEndpoint(), "/"):
		return errors.New("needs a collector_cluster, and a path as its collector_endpoint")
	case c.GetSharedSpanContext() == nil || c.GetSharedSpanContext().GetValue():
		return errors.New("shared_span_context: must be false: each side has a span of its own")
	case !c.GetTraceId_128Bit():
		return errors.New("trace_id_128bit: must be true")
	}
	t.Zipkin = true
	t.W3C = c.GetTraceContextOption() == tracev3.ZipkinConfig_USE_B3_WITH_W3C_PROPAGATION
	t.Collector = snapshot.Collector{Cluster: c.GetCollectorCluster(), Authority: c.GetCollectorHostname(), Path: c.GetCollectorEndpoint()}
	return nil
}

// collector is where a service is asked that takes telemetry by gRPC.
func collector(s *corev3.GrpcService) (snapshot.Collector, error) {
	c := snapshot.Collector{Cluster: s.GetEnvoyGrpc().GetClusterName(), Authority: s.GetEnvoyGrpc().GetAuthority(), Timeout: s.GetTimeout().AsDuration()}
	if c.Cluster == "" || c.Timeout < 0 {
		return c, errors.New("grpc_service: needs an envoy_grpc with a cluster_name, and no timeout below 0")
	}
	return c, nil
}

func traceTag(m *tagv3.CustomTag) snapshot.TraceTag {
	t := snapshot.TraceTag{Name: m.GetTag()}
	switch from := m.GetType().(type) {
	case *tagv3.CustomTag_Literal_:
		t.Value = from.Literal.GetValue()
	case *tagv3.CustomTag_RequestHeader:
		t.Header, t.Value = strings.ToLower(from.RequestHeader.GetName()), from.RequestHeader.GetDefaultValue()
	case *tagv3.CustomTag_Environment_:
		var ok bool
		if t.Value, ok = os.LookupEnv(from.Environment.GetName()); !ok {
			t.Value = from.Environment.GetDefaultValue()
		}
	}
	return t
}
