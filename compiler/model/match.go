package model

// Match accepts a request when all of its conditions hold. Paths is a
// conjunction (more than one only where a gateway's and a service's condition
// meet, or an exception is taken out, and they do not reduce to one). Headers
// holds conditions on the pseudo-headers HostHeader and SchemeHeader too.
type Match struct {
	Paths      []PathMatch
	Methods    []string // any-of, sorted; empty = every method
	NotMethods []string // none-of, sorted; only where Methods is empty
	Headers    []NamedMatch
	Query      []NamedMatch
	Cookies    []NamedMatch
	Claims     []NamedMatch // at gateways, and in rules; by ClaimName
	Origin     Origin
}

// Pseudo-headers, of which a request has exactly one value each.
const (
	// HostHeader is the host that the request names, without its port and in
	// lower case.
	HostHeader = ":authority"
	// SchemeHeader is "http" or "https".
	SchemeHeader = ":scheme"
)

// MatchKind of a string condition.
type MatchKind string

// Kinds. SegmentPrefix is for paths only: "/a" accepts "/a" and "/a/b", not
// "/ab". Prefix on a path is a plain string prefix. Present and Absent are not
// for paths. Range is for headers only: a decimal number of a half-open range,
// written as literal.FormatRange does.
const (
	Exact         MatchKind = "exact"
	Prefix        MatchKind = "prefix"
	SegmentPrefix MatchKind = "segmentPrefix"
	Suffix        MatchKind = "suffix"
	Contains      MatchKind = "contains"
	Regex         MatchKind = "regex" // RE2, whole string
	Range         MatchKind = "range"
	Present       MatchKind = "present"
	Absent        MatchKind = "absent"
)

// PathMatch is a condition on the path without the query string. IgnoreCase
// takes ASCII letters of either case for the same and is not for Regex; Not
// turns the whole condition round.
type PathMatch struct {
	Kind       MatchKind
	Value      string
	IgnoreCase bool
	Not        bool
}

// NamedMatch is a condition on one header (name in lower case), query key, cookie
// or claim. A missing value satisfies only Absent and a negated condition.
type NamedMatch struct {
	Name   string
	Kind   MatchKind
	Value  string
	Not    bool
	Yields string `json:",omitempty"` // of a claim: the providers, joined by commas, with a token of one of which it is missing (Preceding)
}
