package xds

import (
	"fmt"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	filelogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"

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
	packed, err := toAny(&filelogv3.FileAccessLog{
		Path:            log.To,
		AccessLogFormat: &filelogv3.FileAccessLog_LogFormat{LogFormat: logFormat(log)},
	})
	if err != nil {
		return nil, err
	}
	filter, err := logFilter(log.Filter)
	if err != nil {
		return nil, fmt.Errorf("access log: %w", err)
	}
	if audits && filter != nil {
		filter = eitherFilter(filter, auditedFilter(by))
	}
	return []*accesslogv3.AccessLog{{
		Name:       "envoy.access_loggers.file",
		Filter:     filter,
		ConfigType: &accesslogv3.AccessLog_TypedConfig{TypedConfig: packed},
	}}, nil
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
