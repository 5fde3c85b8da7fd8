package intent

import "github.com/meshc/meshc/compiler/diag"

// Authorizer is a service that is asked about every request.
type Authorizer struct {
	Service  Value[string]  // reference
	Port     *Value[string] // name
	Timeout  *Value[string]
	FailOpen *Value[bool]
	Headers  []Value[string] // nil: every one
	MaxBody  *Value[int]     // bytes
	On       []*Rule         // hosts, methods and paths only; nil: not written
	Except   []*Rule         // likewise
	At       diag.Range
}
