package diag

// Codes of who may call, and how: 3020 to 3069.
const (
	BadNetwork       Code = "MSH3020" // not an IP network
	UnknownNamespace Code = "MSH3021" // a rule names a namespace in which nobody is
	RuleNeverHolds   Code = "MSH3022" // conditions of one rule exclude each other
	AllowsWhom       Code = "MSH3023" // an allow rule that does not say who
	DenyEvaded       Code = "MSH3024" // deny names callers, plaintext callers have no identity
	DenyHidesAllow   Code = "MSH3025" // deny rules take all that an allow rule lets in
	DeniesEverybody  Code = "MSH3026" // a deny rule without a condition
	RuleCovered      Code = "MSH3027" // another rule of the list says it already

	SameMode Code = "MSH3028" // a port that says what its service says

	InsecureTLS    Code = "MSH3040" // a certificate that is not verified, without a reason or after its end
	UnverifiedTLS  Code = "MSH3041" // a certificate that is not verified for a while
	TLSDoesNothing Code = "MSH3042" // a field of `tls` that leaves nothing
	PlaintextTo443 Code = "MSH3044" // the port of https without TLS
)
