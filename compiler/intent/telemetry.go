package intent

import "github.com/meshc/meshc/compiler/diag"

// Telemetry says what proxies tell about requests. A nil block was not written.
type Telemetry struct {
	AccessLog *AccessLog
	Metrics   *Metrics
	Tracing   *Tracing
	At        diag.Range
}

// Metrics says what is counted.
type Metrics struct {
	Profile *Value[string] // minimal | standard | full
	Drop    []Value[string]
	At      diag.Range
}

// Tracing says which spans are made, and where they go.
type Tracing struct {
	Off    *Value[bool]
	OTLP   *Collector
	Zipkin *Collector
	Sample *Value[string] // percent
	Tags   []*TraceTag    // nil: not written
	At     diag.Range
}

// Collector is where telemetry goes. Path and W3C are of Zipkin only.
type Collector struct {
	To   Value[string] // reference
	Port *Value[string]
	Path *Value[string]
	W3C  *Value[bool]
	At   diag.Range
}

// TraceTag is what spans say beside the usual.
type TraceTag struct {
	Name    Value[string]
	Literal *Value[string]
	Header  *Value[string]
	Env     *Value[string]
	Default *Value[string]
	At      diag.Range
}

// AccessLog is the log of requests.
type AccessLog struct {
	Off    *Value[bool]
	To     *Value[string] // stdout, stderr or an absolute path
	OTLP   *Collector
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
