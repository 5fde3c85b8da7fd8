package resource

import (
	"errors"
	"fmt"
	"time"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	fileaccesslogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
	otlplogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/open_telemetry/v3"
	streamaccesslogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stream/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshc/meshc/dataplane/http1"
	"github.com/meshc/meshc/dataplane/snapshot"
	"github.com/meshc/meshc/dataplane/telemetry"
)

// maxHops bounds the proxies in front of an edge.
const maxHops = 100

// defaultServer is the Server header that Envoy writes when nothing is said.
const defaultServer = "envoy"

func decodeManager(m *hcmv3.HttpConnectionManager, direction string) (*HTTP, error) {
	h := &HTTP{HTTP: snapshot.HTTP{
		StatPrefix:            m.GetStatPrefix(),
		Direction:             direction,
		IdleTimeout:           orNone(m.GetCommonHttpProtocolOptions().GetIdleTimeout()),
		MaxConnectionDuration: m.GetCommonHttpProtocolOptions().GetMaxConnectionDuration().AsDuration(),
		MaxHeaders:            int(m.GetCommonHttpProtocolOptions().GetMaxHeadersCount().GetValue()),
		RequestHeadersTimeout: orNone(m.GetRequestHeadersTimeout()),
		StreamIdleTimeout:     m.GetStreamIdleTimeout().AsDuration(),
		DrainTimeout:          m.GetDrainTimeout().AsDuration(),
		MaxRequestHeadersKiB:  int(m.GetMaxRequestHeadersKb().GetValue()),
		GenerateRequestID:     m.GetGenerateRequestId() == nil || m.GetGenerateRequestId().GetValue(),
		UseRemoteAddress:      m.GetUseRemoteAddress().GetValue(),
		TrustedHops:           int(m.GetXffNumTrustedHops()),
		ServerName:            serverName(m),
	}}
	h.NormalizePath = m.GetNormalizePath().GetValue()
	h.RejectEscapedSlashes = m.GetPathWithEscapedSlashesAction() == hcmv3.HttpConnectionManager_REJECT_REQUEST
	if err := positiveTimeouts(m); err != nil {
		return nil, err
	}
	if h.TrustedHops > maxHops || h.TrustedHops > 0 && !h.UseRemoteAddress {
		return nil, fmt.Errorf("xff_num_trusted_hops: only values up to %d are supported, with use_remote_address", maxHops)
	}
	if most := http1.DefaultLimits.HeadBytes >> 10; h.MaxRequestHeadersKiB > most {
		return nil, fmt.Errorf("max_request_headers_kb: only values up to %d are supported", most)
	}
	var err error
	if h.Trusted, err = believed(m); err != nil {
		return nil, fmt.Errorf("original_ip_detection_extensions: %w", err)
	}
	if h.Filters, err = httpFilters(m.GetHttpFilters()); err != nil {
		return nil, err
	}
	if h.AccessLogs, err = accessLogs(m.GetAccessLog()); err != nil {
		return nil, err
	}
	if h.Tracing, err = decodeTracing(m.GetTracing()); err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	if h.ForwardClientCert, err = clientCert(m); err != nil {
		return nil, err
	}
	if h.RemoveEarly, err = removedEarly(m.GetEarlyHeaderMutationExtensions()); err != nil {
		return nil, err
	}
	return h, h.routes(m)
}

func (h *HTTP) routes(m *hcmv3.HttpConnectionManager) error {
	switch spec := m.GetRouteSpecifier().(type) {
	case *hcmv3.HttpConnectionManager_Rds:
		if err := overADS(spec.Rds.GetConfigSource()); err != nil {
			return fmt.Errorf("rds: config_source: %w", err)
		}
		if h.RouteConfig = spec.Rds.GetRouteConfigName(); h.RouteConfig == "" {
			return errors.New("rds: route_config_name is empty")
		}
		return nil
	case *hcmv3.HttpConnectionManager_RouteConfig:
		decoded, err := decodeRoutes(spec.RouteConfig)
		if err != nil {
			return fmt.Errorf("route_config: %w", err)
		}
		h.Routes = decoded.(*RouteConfiguration).Table
		return nil
	}
	return errors.New("needs rds or route_config")
}

// overADS accepts the one source from which LDS, CDS, RDS and EDS may come.
func overADS(s *corev3.ConfigSource) error {
	if s.GetAds() == nil {
		return errors.New("only ads is supported")
	}
	return nil
}

func serverName(m *hcmv3.HttpConnectionManager) string {
	if m.GetServerHeaderTransformation() == hcmv3.HttpConnectionManager_PASS_THROUGH {
		return ""
	}
	if name := m.GetServerName(); name != "" {
		return name
	}
	return defaultServer
}

// orNone gives 0 for what is not said, and below 0 for what is switched off.
func orNone(d *durationpb.Duration) time.Duration {
	if d != nil && d.AsDuration() == 0 {
		return -1
	}
	return d.AsDuration()
}

// positiveTimeouts: 0 switches a timeout off in Envoy; this proxy has one always
// where nothing that comes over xDS from its own control plane says so.
func positiveTimeouts(m *hcmv3.HttpConnectionManager) error {
	switch {
	case m.GetRequestHeadersTimeout().AsDuration() < 0:
		return errors.New("request_headers_timeout: is negative")
	case m.GetStreamIdleTimeout() != nil && m.GetStreamIdleTimeout().AsDuration() <= 0:
		return errors.New("stream_idle_timeout: only values above 0 are supported")
	case m.GetCommonHttpProtocolOptions().GetIdleTimeout().AsDuration() < 0:
		return errors.New("common_http_protocol_options: idle_timeout: is negative")
	case m.GetCommonHttpProtocolOptions().GetMaxConnectionDuration() != nil && m.GetCommonHttpProtocolOptions().GetMaxConnectionDuration().AsDuration() <= 0:
		return errors.New("common_http_protocol_options: max_connection_duration: only values above 0 are supported")
	case m.GetCommonHttpProtocolOptions().GetMaxRequestsPerConnection() != nil:
		return errors.New("common_http_protocol_options: max_requests_per_connection is not supported in listeners")
	}
	return nil
}

var forwardModes = map[hcmv3.HttpConnectionManager_ForwardClientCertDetails]snapshot.ForwardClientCert{
	hcmv3.HttpConnectionManager_SANITIZE:            snapshot.SanitizeXFCC,
	hcmv3.HttpConnectionManager_FORWARD_ONLY:        snapshot.ForwardOnlyXFCC,
	hcmv3.HttpConnectionManager_APPEND_FORWARD:      snapshot.AppendForwardXFCC,
	hcmv3.HttpConnectionManager_SANITIZE_SET:        snapshot.SanitizeSetXFCC,
	hcmv3.HttpConnectionManager_ALWAYS_FORWARD_ONLY: snapshot.AlwaysForwardOnlyXFCC,
}

func clientCert(m *hcmv3.HttpConnectionManager) (snapshot.ForwardClientCert, error) {
	mode, ok := forwardModes[m.GetForwardClientCertDetails()]
	if !ok {
		return 0, fmt.Errorf("forward_client_cert_details: %v is not supported", m.GetForwardClientCertDetails())
	}
	sets := mode == snapshot.SanitizeSetXFCC || mode == snapshot.AppendForwardXFCC
	if sets && !m.GetSetCurrentClientCertDetails().GetUri() {
		return 0, errors.New("set_current_client_cert_details: uri must be set where x-forwarded-client-cert is written")
	}
	return mode, nil
}

func accessLogs(list []*accesslogv3.AccessLog) ([]snapshot.AccessLog, error) {
	var out []snapshot.AccessLog
	for i, l := range list {
		decoded, err := accessLog(l)
		if err == nil {
			_, err = telemetry.Compile(decoded) // a bad format is refused here, not when it is applied
		}
		if err == nil {
			decoded.Filter = l.GetFilter()
			_, err = telemetry.CompileFilter(decoded.Filter)
		}
		if err != nil {
			return nil, fmt.Errorf("access_log[%d]: %w", i, err)
		}
		out = append(out, decoded)
	}
	return out, nil
}

func accessLog(l *accesslogv3.AccessLog) (snapshot.AccessLog, error) {
	if l.GetTypedConfig() == nil {
		return snapshot.AccessLog{}, errors.New("needs a typed_config")
	}
	config, err := l.GetTypedConfig().UnmarshalNew()
	if err != nil {
		return snapshot.AccessLog{}, err
	}
	switch m := config.(type) {
	case *streamaccesslogv3.StdoutAccessLog:
		return logFormat("/dev/stdout", m.GetLogFormat())
	case *streamaccesslogv3.StderrAccessLog:
		return logFormat("/dev/stderr", m.GetLogFormat())
	case *fileaccesslogv3.FileAccessLog:
		return logFormat(m.GetPath(), m.GetLogFormat())
	case *otlplogv3.OpenTelemetryAccessLogConfig:
		return otlpLog(m)
	}
	return snapshot.AccessLog{}, fmt.Errorf("%s is not an access log of this proxy", config.ProtoReflect().Descriptor().FullName())
}

func logFormat(path string, f *corev3.SubstitutionFormatString) (snapshot.AccessLog, error) {
	out := snapshot.AccessLog{Path: path}
	switch format := f.GetFormat().(type) {
	case *corev3.SubstitutionFormatString_TextFormatSource:
		text := format.TextFormatSource.GetInlineString()
		if text == "" {
			return out, errors.New("log_format: text_format_source must be a non-empty inline_string")
		}
		out.TextFormat = text
		return out, nil
	case *corev3.SubstitutionFormatString_JsonFormat:
		return out, jsonFormat(&out, format.JsonFormat)
	}
	return out, errors.New("log_format: json_format or text_format_source is needed")
}

func jsonFormat(out *snapshot.AccessLog, format *structpb.Struct) error {
	out.JSONFormat = make(map[string]string, len(format.GetFields()))
	for key, value := range format.GetFields() {
		text, ok := value.GetKind().(*structpb.Value_StringValue)
		if !ok {
			return fmt.Errorf("log_format: json_format[%q]: only strings are supported", key)
		}
		out.JSONFormat[key] = text.StringValue
	}
	return nil
}
