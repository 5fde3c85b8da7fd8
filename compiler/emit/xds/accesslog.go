package xds

import (
	"fmt"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	filelogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
	otlplogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/open_telemetry/v3"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshc/meshc/compiler/digest"
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
	name, packed, err := e.packedSink(log)
	if err != nil {
		return nil, fmt.Errorf("access log: %w", err)
	}
	return []*accesslogv3.AccessLog{{
		Name:       name,
		Filter:     filter,
		ConfigType: &accesslogv3.AccessLog_TypedConfig{TypedConfig: packed},
	}}, nil
}

// packedSink is a file, or what takes records by OTLP. Most listeners of a mesh
// write one kind of record to one file: that is packed once.
func (e *emitter) packedSink(log model.AccessLog) (name string, packed *anypb.Any, err error) {
	if log.OTLP != nil {
		config, err := e.otlpSink(log)
		if err != nil {
			return "", nil, err
		}
		packed, err = toAny(config)
		return "envoy.access_loggers.open_telemetry", packed, err
	}
	key := digest.Of(log)
	known, ok := e.logFiles.Load(key)
	if !ok {
		if packed, err = toAny(fileSink(log)); err != nil {
			return "", nil, err
		}
		known, _ = e.logFiles.LoadOrStore(key, packed)
	}
	packed = known.(*anypb.Any)
	return "envoy.access_loggers.file", &anypb.Any{TypeUrl: packed.TypeUrl, Value: packed.Value}, nil
}

func fileSink(log model.AccessLog) *filelogv3.FileAccessLog {
	return &filelogv3.FileAccessLog{
		Path:            log.To,
		AccessLogFormat: &filelogv3.FileAccessLog_LogFormat{LogFormat: logFormat(log)},
	}
}

func (e *emitter) otlpSink(log model.AccessLog) (*otlplogv3.OpenTelemetryAccessLogConfig, error) {
	cluster, host, err := e.collector(*log.OTLP)
	if err != nil {
		return nil, err
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
	return out, nil
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
