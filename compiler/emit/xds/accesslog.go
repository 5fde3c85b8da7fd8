package xds

import (
	"fmt"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	filelogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
	otlplogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/open_telemetry/v3"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/compiler/model"
)

// accessLog is the log of requests of this emitter's workload. On the server's
// side it says what is audited by the filter of that name.
func (e *emitter) accessLog(server bool, by string) ([]*accesslogv3.AccessLog, error) {
	log := e.logOf()
	audits := server && e.audits()
	if audits {
		log.Fields = withAudit(log.Fields, by)
	}
	if log.Off {
		return nil, nil
	}
	filter, err := logFilter(log.Filter)
	if err != nil {
		return nil, fmt.Errorf("access log: %w", err)
	}
	if audits && filter != nil {
		filter = eitherFilter(filter, auditedFilter(by))
	}
	name, sink, err := e.logSink(log)
	if err != nil {
		return nil, fmt.Errorf("access log: %w", err)
	}
	packed, err := toAny(sink)
	if err != nil {
		return nil, err
	}
	return []*accesslogv3.AccessLog{{
		Name:       name,
		Filter:     filter,
		ConfigType: &accesslogv3.AccessLog_TypedConfig{TypedConfig: packed},
	}}, nil
}

// logSink is a file, or what takes records by OTLP.
func (e *emitter) logSink(log model.AccessLog) (name string, config proto.Message, err error) {
	if log.OTLP == nil {
		return "envoy.access_loggers.file", &filelogv3.FileAccessLog{
			Path:            log.To,
			AccessLogFormat: &filelogv3.FileAccessLog_LogFormat{LogFormat: logFormat(log)},
		}, nil
	}
	cluster, host, err := e.collector(*log.OTLP)
	if err != nil {
		return "", nil, err
	}
	out := &otlplogv3.OpenTelemetryAccessLogConfig{
		LogName:            logName,
		GrpcService:        exporter(cluster, host),
		ResourceAttributes: attributes([]model.Header{{Name: "service.name", Value: e.tracedName()}}),
		Attributes:         attributes(log.Fields),
	}
	if log.Text != "" {
		out.Body = anyText(log.Text)
	}
	return "envoy.access_loggers.open_telemetry", out, nil
}

// logName tells these records from other logs.
const logName = "meshc"

func attributes(list []model.Header) *commonv1.KeyValueList {
	if len(list) == 0 {
		return nil
	}
	out := &commonv1.KeyValueList{}
	for _, h := range list {
		out.Values = append(out.Values, &commonv1.KeyValue{Key: h.Name, Value: anyText(h.Value)})
	}
	return out
}

func anyText(s string) *commonv1.AnyValue {
	return &commonv1.AnyValue{Value: &commonv1.AnyValue_StringValue{StringValue: s}}
}

// logOf finds what the workload's service or gateway says.
func (e *emitter) logOf() model.AccessLog {
	if e.self.Role == model.RoleGateway {
		return e.mesh.Gateway(e.self.Service).AccessLog.OrDefault()
	}
	return e.mesh.Service(e.self.Service).AccessLog.OrDefault()
}

func logFormat(log model.AccessLog) *corev3.SubstitutionFormatString {
	if log.Text != "" {
		return &corev3.SubstitutionFormatString{Format: &corev3.SubstitutionFormatString_TextFormatSource{
			TextFormatSource: &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: log.Text}},
		}}
	}
	fields := make(map[string]string, len(log.Fields))
	for _, f := range log.Fields {
		fields[f.Name] = f.Value
	}
	return &corev3.SubstitutionFormatString{Format: &corev3.SubstitutionFormatString_JsonFormat{JsonFormat: stringStruct(fields)}}
}

func commonOptions() *corev3.HttpProtocolOptions {
	return &corev3.HttpProtocolOptions{IdleTimeout: duration(idleTimeout)}
}
