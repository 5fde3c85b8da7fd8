package xds

import (
	"fmt"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tracev3 "github.com/envoyproxy/go-control-plane/envoy/config/trace/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tagv3 "github.com/envoyproxy/go-control-plane/envoy/type/tracing/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/compiler/model"
)

// Names of the tracers, as Envoy registers them.
const (
	otlpTracer   = "envoy.tracers.opentelemetry"
	zipkinTracer = "envoy.tracers.zipkin"
)

// tracing gives nil where there is none. Envoy takes the kind of a span from the
// direction of the listener; only a gateway makes a second one, for the service
// behind it.
func (e *emitter) tracing(at side) (*hcmv3.HttpConnectionManager_Tracing, error) {
	t := e.tracingOf()
	if t == nil {
		return nil, nil
	}
	provider, err := e.traceProvider(t)
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	out := &hcmv3.HttpConnectionManager_Tracing{
		// Whoever sends x-client-trace-id has no say.
		ClientSampling: &typev3.Percent{},
		RandomSampling: &typev3.Percent{Value: float64(t.BasisPoints) / 100},
		CustomTags:     customTags(t.Tags),
		Provider:       provider,
	}
	if at == edgeSide {
		out.SpawnUpstreamSpan = boolValue(true)
	}
	return out, nil
}

func (e *emitter) tracingOf() *model.Tracing {
	if e.self.Role == model.RoleGateway {
		return e.mesh.Gateway(e.self.Service).Tracing
	}
	return e.mesh.Service(e.self.Service).Tracing
}

func (e *emitter) traceProvider(t *model.Tracing) (*tracev3.Tracing_Http, error) {
	name, host, err := e.collector(t.Collector)
	if err != nil {
		return nil, err
	}
	tracer := otlpTracer
	var config proto.Message = &tracev3.OpenTelemetryConfig{GrpcService: exporter(name, host), ServiceName: e.tracedName()}
	if t.Format == model.Zipkin {
		z := &tracev3.ZipkinConfig{
			CollectorCluster:         name,
			CollectorHostname:        host,
			CollectorEndpoint:        t.Path,
			CollectorEndpointVersion: tracev3.ZipkinConfig_HTTP_JSON,
			TraceId_128Bit:           true,
			// Each side has a span of its own.
			SharedSpanContext: boolValue(false),
		}
		if t.W3C {
			z.TraceContextOption = tracev3.ZipkinConfig_USE_B3_WITH_W3C_PROPAGATION
		}
		tracer, config = zipkinTracer, z
	}
	packed, err := toAny(config)
	if err != nil {
		return nil, err
	}
	return &tracev3.Tracing_Http{Name: tracer, ConfigType: &tracev3.Tracing_Http_TypedConfig{TypedConfig: packed}}, nil
}

// tracedName is the service as OpenTelemetry calls it: service.name.
func (e *emitter) tracedName() string { return e.self.Service.Name + "." + e.self.Service.Namespace }

func customTags(tags []model.TraceTag) []*tagv3.CustomTag {
	var out []*tagv3.CustomTag
	for _, t := range tags {
		tag := &tagv3.CustomTag{Tag: t.Name}
		switch t.From {
		case model.TagLiteral:
			tag.Type = &tagv3.CustomTag_Literal_{Literal: &tagv3.CustomTag_Literal{Value: t.Value}}
		case model.TagHeader:
			tag.Type = &tagv3.CustomTag_RequestHeader{RequestHeader: &tagv3.CustomTag_Header{Name: t.Value, DefaultValue: t.Default}}
		case model.TagEnv:
			tag.Type = &tagv3.CustomTag_Environment_{Environment: &tagv3.CustomTag_Environment{Name: t.Value, DefaultValue: t.Default}}
		}
		out = append(out, tag)
	}
	return out
}

// exporter speaks OTLP; the cluster's own name is no authority.
func exporter(cluster, host string) *corev3.GrpcService {
	return &corev3.GrpcService{
		Timeout: duration(exportTimeout),
		TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{
			EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: cluster, Authority: host},
		},
	}
}
