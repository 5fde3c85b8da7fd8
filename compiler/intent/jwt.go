package intent

import "github.com/meshc/meshc/compiler/diag"

// JWT is the tokens of one issuer.
type JWT struct {
	Name         Value[string]
	Issuer       Value[string]
	Audiences    []Value[string] // nil: not looked at
	JWKS         *JWKS
	From         []*TokenPlace // nil: not written
	Required     Value[bool]
	Forward      *Value[bool]
	ClaimHeaders []*KV // from headers to claims
	ClockSkew    *Value[string]
	At           diag.Range
}

// JWKS is where keys are: External or File.
type JWKS struct {
	External *Value[string] // reference
	Port     *Value[string] // name
	Path     *Value[string]
	Cache    *Value[string]
	File     *Value[string]
	At       diag.Range
}

// TokenPlace is where a request carries a token: Header, Query or Cookie.
type TokenPlace struct {
	Header *Value[string]
	Prefix *Value[string] // of Header
	Query  *Value[string]
	Cookie *Value[string]
	At     diag.Range
}

// Claims are conditions on the tokens of one provider; the name of each is that
// of a claim.
type Claims struct {
	Provider Value[string]
	Of       []*NamedMatch
}
