package intent

import "github.com/meshc/meshc/compiler/diag"

// Match accepts a request when every condition in it holds.
type Match struct {
	Path       *PathMatch
	GRPC       *GRPCMatch
	Methods    []Value[string]
	NotMethods []Value[string]
	Scheme     *Value[string] // http | https
	Host       *NamedMatch    // Name is "host"
	Headers    []*NamedMatch
	Query      []*NamedMatch
	Cookies    []*NamedMatch
	Claims     []*Claims
	At         diag.Range
}

// PathMatch has one of kind "exact", "prefix", "segmentPrefix", "regex",
// "template". It matches the path without the query string. regex is RE2 and
// matches in full. IgnoreCase and Not are for routes only, template for rules.
type PathMatch struct {
	Kind       Value[string]
	Value      Value[string]
	IgnoreCase *Value[bool]
	Not        *Value[bool]
	At         diag.Range
}

// PathTemplate is the kind of paths that literal.Template reads.
const PathTemplate = "template"

// GRPCMatch names a gRPC service, and perhaps a method of it.
type GRPCMatch struct {
	Service Value[string]
	Method  *Value[string]
	At      diag.Range
}

// NamedMatch is a condition on the host, or on one header, query key or cookie.
// Kind is one of "exact", "prefix", "suffix", "contains", "regex", "range"
// (headers only), "present"; for present the value is "true" or "false", for
// range it is what literal.FormatRange writes. Not negates.
type NamedMatch struct {
	Name  Value[string]
	Kind  Value[string]
	Value Value[string]
	Not   *Value[bool]
	At    diag.Range
}
