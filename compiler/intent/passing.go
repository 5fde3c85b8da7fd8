package intent

import "github.com/meshc/meshc/compiler/diag"

// Mirror copies requests to a version of the route's own service, or of To.
// Percent is the literal as written.
type Mirror struct {
	To      *Value[string]
	Port    *Value[string]
	Version *Value[string]
	Percent Value[string]
	At      diag.Range
}

// Sticky is what keeps one user with one version.
type Sticky struct {
	Cookie   *Value[string] // its name
	Header   *Value[string]
	SourceIP *Value[bool]
	At       diag.Range
}

// CORS is what browsers are told about pages of other origins.
type CORS struct {
	Origins       []*NamedMatch
	Methods       []Value[string]
	Headers       []Value[string]
	ExposeHeaders []Value[string]
	MaxAge        *Value[string]
	Credentials   *Value[bool]
	At            diag.Range
}
