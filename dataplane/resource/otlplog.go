package resource

import (
	"errors"
	"fmt"

	otlplogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/open_telemetry/v3"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"

	"github.com/meshc/meshc/dataplane/resource/support"
	"github.com/meshc/meshc/dataplane/snapshot"
)

var otlpLogMessages = []support.Message{
	{Name: "envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig", Fields: []support.Field{
		support.F("log_name", ""), support.F("grpc_service", ""), support.F("resource_attributes", "texts"),
		support.F("body", "a text"), support.F("attributes", "texts"),
	}},
	{Name: "opentelemetry.proto.common.v1.KeyValueList", Fields: []support.Field{support.F("values", "")}},
	{Name: "opentelemetry.proto.common.v1.KeyValue", Fields: []support.Field{support.F("key", ""), support.F("value", "")}},
	{Name: "opentelemetry.proto.common.v1.AnyValue", Fields: []support.Field{support.F("string_value", "")}},
}

func otlpLog(m *otlplogv3.OpenTelemetryAccessLogConfig) (snapshot.AccessLog, error) {
	var out snapshot.AccessLog
	at, err := collector(m.GetGrpcService())
	if err != nil {
		return out, err
	}
	out.OTLP = &snapshot.OTLPLog{Collector: at, Name: m.GetLogName()}
	if out.OTLP.Resource, err = textsOf(m.GetResourceAttributes()); err != nil {
		return out, fmt.Errorf("resource_attributes: %w", err)
	}
	if out.JSONFormat, err = textsOf(m.GetAttributes()); err != nil {
		return out, fmt.Errorf("attributes: %w", err)
	}
	if m.GetBody() != nil {
		if out.TextFormat = m.GetBody().GetStringValue(); out.TextFormat == "" {
			return out, errors.New("body: must be a text")
		}
	}
	return out, nil
}

func textsOf(list *commonv1.KeyValueList) (map[string]string, error) {
	out := make(map[string]string, len(list.GetValues()))
	for _, kv := range list.GetValues() {
		if _, ok := kv.GetValue().GetValue().(*commonv1.AnyValue_StringValue); !ok {
			return nil, fmt.Errorf("%q: only texts are supported", kv.GetKey())
		}
		if _, twice := out[kv.GetKey()]; twice {
			return nil, fmt.Errorf("%q is there twice", kv.GetKey())
		}
		out[kv.GetKey()] = kv.GetValue().GetStringValue()
	}
	return out, nil
}
