package diag

// Codes of guardrails: 2175 to 2189. Violations are found by package policies,
// in `meshc vet` and `meshc diff`; the last two are about how they are written.
const (
	PolicyOwned     Code = "MSH2175" // a service that nobody owns
	PolicyEgress    Code = "MSH2176" // an external that leads where none may
	PolicyRetries   Code = "MSH2177" // one request may become more than are allowed
	PolicyFaults    Code = "MSH2178" // a fault outside of its windows
	PolicyCanary    Code = "MSH2179" // a share grows too far at once
	PolicyMTLS      Code = "MSH2180" // what is encrypted or who is known is loosened
	PolicyAccess    Code = "MSH2181" // somebody is let in who was not
	PolicyFreeze    Code = "MSH2182" // behaviour changes while nothing may
	PolicyUnknown   Code = "MSH2183" // it cannot be told whether a change keeps to a policy
	ExemptionUnused Code = "MSH2184" // an exemption that nothing needs
	ExemptionEnded  Code = "MSH2185"
	BadPolicy       Code = "MSH2186" // a policy, or an exemption, that cannot be judged
)

// Codes of rules that users write in CUE: 2190 to 2199. RuleFinding and
// RuleFailed are found by package policies, in `meshc vet` and `meshc diff`;
// RuleTestFails and RuleTestUnknown by `meshc test`.
const (
	RuleFinding     Code = "MSH2190" // what a rule found
	BadRule         Code = "MSH2191" // a rule, or a test of one, that cannot be read
	RuleFailed      Code = "MSH2192" // it cannot be told what a rule finds
	RuleUntested    Code = "MSH2193" // a rule that no test is for
	RuleTestFails   Code = "MSH2194"
	RuleTestUnknown Code = "MSH2195"
)
