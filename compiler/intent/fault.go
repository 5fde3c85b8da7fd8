package intent

import "github.com/meshc/meshc/compiler/diag"

// Fault is one entry of `service.*.faults`.
type Fault struct {
	Name      Value[string]
	On        Value[string] // route name
	Match     []*Match      // nil: not written
	From      []Value[string]
	HasFrom   bool // `from` was written, perhaps as []
	Delay     *Delay
	Abort     *Abort
	Bandwidth *Bandwidth
	MaxActive *Value[int]
	Until     Value[string] // RFC 3339
	At        diag.Range
}

// Delay holds a fixed delay for a share of requests.
type Delay struct {
	Fixed   Value[string]
	Percent Value[string]
	At      diag.Range
}

// Abort answers a share of requests with a status: of HTTP or of gRPC.
type Abort struct {
	Status     *Value[int]
	GRPCStatus *Value[string] // by name, as package literal knows them
	Percent    Value[string]
	At         diag.Range
}

// Bandwidth limits the rate of a share of responses.
type Bandwidth struct {
	KiBPerSecond Value[int]
	Percent      Value[string]
	At           diag.Range
}
