package intent

import "github.com/meshc/meshc/compiler/diag"

// Admission refuses requests at random while too few succeed, by the proxy of a
// service. Decimals are text.
type Admission struct {
	Window                                *Value[string]
	SuccessRate, Aggression, MaxRejection *Value[string]
	MinRPS                                *Value[int]
	Success                               *AdmissionSuccess // nil: the usual ones
	At                                    diag.Range
}

// AdmissionSuccess says which answers are successes; nil lists were not written.
type AdmissionSuccess struct {
	Statuses     []Value[string] // "404" and "2xx"
	GRPCStatuses []Value[string] // by name
	At           diag.Range
}
