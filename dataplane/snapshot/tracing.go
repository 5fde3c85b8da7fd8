package snapshot

import "time"

// Collector is where telemetry goes: by gRPC, or by HTTP where there is a Path.
type Collector struct {
	Cluster   string
	Authority string // "" = the cluster's name
	Timeout   time.Duration
	Path      string
}

// Tracing says which spans are made of requests, and where they go.
type Tracing struct {
	Collector
	// Zipkin: JSON of Zipkin and the trace context of B3, in place of OTLP and that
	// of W3C.
	Zipkin bool
	// W3C, with Zipkin: the trace context of W3C is written too, and read where
	// there is no B3.
	W3C     bool
	Service string // service.name of OTLP
	// Millionths is the share of the traces that begin here that are kept.
	Millionths uint32
	Tags       []TraceTag
	// Edge: what the client asked for is a span of its own, and so is each attempt.
	Edge bool
}

// TraceTag is what a span says beside the usual: the value of a header, or else Value;
// nothing where that is empty.
type TraceTag struct{ Name, Header, Value string }
