package model

import "time"

// DefaultLogPlace is where access logs go when nobody says otherwise.
const DefaultLogPlace = "/dev/stdout"

// AccessLog is the log of requests of a proxy. Exactly one of Text and Fields
// says the format; with Off nothing else is set. The zero value stands for the
// built-in default: DefaultLogFields to DefaultLogPlace.
type AccessLog struct {
	Off    bool
	To     string     // "/dev/stdout", "/dev/stderr" or the path of a file; "" with OTLP
	OTLP   *Collector // where records go in place of lines
	Text   string     // with Envoy's command operators; ends with a line feed unless OTLP
	Fields []Header
	Filter *LogFilter // nil: every request
	Origin Origin     // zero: built-in default
}

// OrDefault puts the built-in default in the place of the zero value.
func (a AccessLog) OrDefault() AccessLog {
	if a.To == "" && a.OTLP == nil && !a.Off {
		return AccessLog{To: DefaultLogPlace, Fields: DefaultLogFields}
	}
	return a
}

// LogFilter holds conditions of which all hold for what is logged.
type LogFilter struct {
	MinStatus   uint32        // 0: none
	MinDuration time.Duration // 0: none
	ErrorsOnly  bool          // status 500 or above, or a response flag
	BasisPoints uint32        // of requests, drawn for each; BasisPointsWhole: all
	Headers     []NamedMatch
}

// DefaultLogFields is what is logged of a request when nobody says otherwise,
// in Envoy's command operators, sorted by name.
var DefaultLogFields = []Header{
	{"authority", "%REQ(:AUTHORITY)%"},
	{"bytes_received", "%BYTES_RECEIVED%"},
	{"bytes_sent", "%BYTES_SENT%"},
	{"details", "%RESPONSE_CODE_DETAILS%"},
	{"downstream", "%DOWNSTREAM_REMOTE_ADDRESS%"},
	{"duration", "%DURATION%"},
	{"flags", "%RESPONSE_FLAGS%"},
	{"method", "%REQ(:METHOD)%"},
	{"path", "%REQ(:PATH)%"},
	{"peer_id", "%DOWNSTREAM_PEER_URI_SAN%"},
	{"protocol", "%PROTOCOL%"},
	{"request_id", "%REQ(X-REQUEST-ID)%"},
	{"route_name", "%ROUTE_NAME%"},
	{"start_time", "%START_TIME%"},
	{"status", "%RESPONSE_CODE%"},
	{"upstream_cluster", "%UPSTREAM_CLUSTER%"},
	{"upstream_host", "%UPSTREAM_HOST%"},
}
