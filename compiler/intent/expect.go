package intent

import "github.com/meshc/meshc/compiler/diag"

// Expect is what somebody expects of requests to a service or gateway. A nil
// field was not written. Fields that only one of both has are nil for the other.
type Expect struct {
	Name    Value[string]
	Request *ExpectedRequest
	Every   []*Match

	From        []Value[string] // services; of a service
	Port        *Value[string]  // name of a port, or of a listener
	ReachedBy   *ReachedBy      // of a service
	To          []*Weight
	NotTo       []Value[string] // versions; of a service
	Service     *Value[string]  // reference; of a gateway
	NotServices []Value[string] // references; of a gateway
	Outcome     *Value[string]
	Status      *Value[int]
	Location    *Value[string]
	Timeout     *Value[string]
	Retries     *Value[int]
	Faults      *Value[bool]
	At          diag.Range
}

// ExpectMesh is what somebody expects of several services together.
type ExpectMesh struct {
	Name           Value[string]
	Services       []Value[string]
	ReachedBy      *ReachedBy
	NotReachedFrom []Value[string]
	ExceptThrough  []Value[string]
	At             diag.Range
}

// ReachedBy names those who may call.
type ReachedBy struct {
	Only []Value[string]
	At   diag.Range
}

// ExpectedRequest is one request, of the service From or of a gateway's client.
type ExpectedRequest struct {
	From    *Value[string]
	Method  *Value[string]
	Path    *Value[string]
	Host    *Value[string]
	Query   []*KV
	Headers []*KV
	Cookies []*KV
	Claims  []*TokenClaims
	IP      *Value[string]
	// ClientIP is of a gateway's client, as proxies in front tell.
	ClientIP *Value[string]
	At       diag.Range
}

// TokenClaims are the claims of a valid token of one provider.
type TokenClaims struct {
	Provider Value[string]
	Of       []*KV
}
