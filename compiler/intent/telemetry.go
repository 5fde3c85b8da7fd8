package intent

import "github.com/meshc/meshc/compiler/diag"

// Telemetry says what proxies tell about requests. A nil block was not written.
type Telemetry struct {
	AccessLog *AccessLog
	At        diag.Range
}

// AccessLog is the log of requests.
type AccessLog struct {
	Off    *Value[bool]
	To     *Value[string] // stdout, stderr or an absolute path
	Text   *Value[string]
	Fields []*KV // nil: not written
	Filter *LogFilter
	At     diag.Range
}

// LogFilter names conditions of which all hold for what is logged.
type LogFilter struct {
	MinStatus   *Value[int]
	MinDuration *Value[string]
	ErrorsOnly  *Value[bool]
	Percent     *Value[string]
	Headers     []*NamedMatch
	At          diag.Range
}
