package intent

import "github.com/meshc/meshc/compiler/diag"

// Policy is one guardrail, of one kind; a kind that was not written is nil.
type Policy struct {
	Name       Value[string]
	Severity   *Value[string] // error | warning
	Owned      *diag.Range
	Egress     *EgressPolicy
	Retries    *Value[int] // the most that one request may become
	Faults     *WindowsPolicy
	Canary     *Value[string] // points by which a share may grow
	MTLS       *diag.Range
	Access     *diag.Range
	Freeze     *WindowsPolicy
	Exemptions []*Exemption
	At         diag.Range
}

// EgressPolicy is where externals may lead.
type EgressPolicy struct {
	Hosts    []Value[string]
	Networks []Value[string]
}

// WindowsPolicy is times that a policy names.
type WindowsPolicy struct {
	Windows []*Window
	At      diag.Range
}

// Window is a time from a moment to another.
type Window struct {
	Name  Value[string]
	From  Value[string] // RFC 3339
	Until Value[string] // RFC 3339
	At    diag.Range
}

// Exemption is what a policy does not hold for.
type Exemption struct {
	Name     Value[string]
	Service  *Value[string] // reference
	Gateway  *Value[string] // reference
	External *Value[string] // reference
	Route    *Value[string]
	Reason   Value[string]
	Owner    Value[string]
	Until    Value[string] // RFC 3339
	At       diag.Range
}
