package intent

import "github.com/meshc/meshc/compiler/diag"

// Retries as written.
type Retries struct {
	Attempts    Value[int]
	On          []Value[string] // words of literal.RetryWords and literal.GRPCRetryWords, or status codes
	PerTry      *Value[string]
	PerTryIdle  *Value[string]
	Methods     []Value[string] // nil: the idempotent methods
	Backoff     *Backoff
	AvoidTried  *Value[bool]
	RateLimited *RateLimitedBackoff
	At          diag.Range
}

// Backoff is the pause before each retry.
type Backoff struct {
	Base Value[string]
	Max  *Value[string]
	At   diag.Range
}

// RateLimitedBackoff is a pause that the server asks for.
type RateLimitedBackoff struct {
	Header Value[string]
	Format *Value[string] // seconds | unixTime
	Max    *Value[string]
	At     diag.Range
}

// GatewayTimeouts are what clients of a gateway are given time for.
type GatewayTimeouts struct {
	RequestHeaders, Idle, MaxConnection *Value[string]
	At                                  diag.Range
}
