package xds

import (
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	filelogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
)

// logFields of an access log line, in Envoy's command operators.
var logFields = map[string]string{
	"start_time":       "%START_TIME%",
	"method":           "%REQ(:METHOD)%",
	"path":             "%REQ(:PATH)%",
	"authority":        "%REQ(:AUTHORITY)%",
	"protocol":         "%PROTOCOL%",
	"status":           "%RESPONSE_CODE%",
	"flags":            "%RESPONSE_FLAGS%",
	"details":          "%RESPONSE_CODE_DETAILS%",
	"duration":         "%DURATION%",
	"bytes_received":   "%BYTES_RECEIVED%",
	"bytes_sent":       "%BYTES_SENT%",
	"upstream_cluster": "%UPSTREAM_CLUSTER%",
	"upstream_host":    "%UPSTREAM_HOST%",
	"route_name":       "%ROUTE_NAME%",
	"peer_id":          "%DOWNSTREAM_PEER_URI_SAN%",
	"downstream":       "%DOWNSTREAM_REMOTE_ADDRESS%",
	"request_id":       "%REQ(X-REQUEST-ID)%",
}

func accessLog() ([]*accesslogv3.AccessLog, error) {
	packed, err := toAny(&filelogv3.FileAccessLog{
		Path: "/dev/stdout",
		AccessLogFormat: &filelogv3.FileAccessLog_LogFormat{LogFormat: &corev3.SubstitutionFormatString{
			Format: &corev3.SubstitutionFormatString_JsonFormat{JsonFormat: stringStruct(logFields)},
		}},
	})
	if err != nil {
		return nil, err
	}
	return []*accesslogv3.AccessLog{{
		Name:       "envoy.access_loggers.file",
		ConfigType: &accesslogv3.AccessLog_TypedConfig{TypedConfig: packed},
	}}, nil
}

func commonOptions() *corev3.HttpProtocolOptions {
	return &corev3.HttpProtocolOptions{IdleTimeout: duration(idleTimeout)}
}
