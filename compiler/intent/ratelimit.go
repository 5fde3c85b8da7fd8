package intent

import "github.com/meshc/meshc/compiler/diag"

// RateLimit limits the requests that a service or gateway takes, by one of Local
// and Global.
type RateLimit struct {
	Name            Value[string]
	On              []Value[string] // routes of a gateway; nil: every request
	Match           []*Match
	Local           *LocalLimit
	Global          *GlobalLimit
	By              []*LimitKey
	Status          *Value[int]
	Enforced        *Value[string] // decimal
	ResponseHeaders *Value[bool]
	At              diag.Range
}

// LocalLimit is what one proxy lets through.
type LocalLimit struct {
	Requests Value[int]
	Per      Value[string]
	Burst    *Value[int]
	MaxKeys  *Value[int]
	At       diag.Range
}

// GlobalLimit is what the rate limit service is asked about.
type GlobalLimit struct {
	Descriptor []*DescriptorEntry // nil: the name of the limit
	At         diag.Range
}

// DescriptorEntry is a constant that a service of limits goes by.
type DescriptorEntry struct {
	Key, Value Value[string]
	At         diag.Range
}

// LimitKey is a part of a request that tells it apart; exactly one is written.
type LimitKey struct {
	Header, Query          *Value[string]
	Caller, Path, SourceIP *Value[bool]
	At                     diag.Range
}

// RateLimitService counts for global limits.
type RateLimitService struct {
	Service         Value[string] // reference
	Port            *Value[string]
	Domain, Timeout *Value[string]
	FailOpen        Value[bool]
	At              diag.Range
}
