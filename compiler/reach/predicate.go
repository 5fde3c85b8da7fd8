package reach

import (
	"strings"

	literals "github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
)

// Pred is a condition on requests. Its zero value holds for every request. It
// is immutable, and copies are the same condition: a Space judges one once,
// however many others it is a part of.
type Pred struct{ says *condition }

// condition is what stands in a Pred; nil is all of nothing.
type condition struct {
	op   operator
	of   []Pred
	dim  Dim
	text Text
}

// always is the condition of the zero Pred.
var always = &condition{op: allOf}

// what p says.
func (p Pred) what() *condition {
	if p.says == nil {
		return always
	}
	return p.says
}

type operator uint8

const (
	allOf operator = iota
	anyOf
	notOf
	isIn
)

// Is holds when a value of d is in t: of a header or claim any value, of a query
// key or cookie the first. A missing value is in no Text.
func Is(d Dim, t Text) Pred { return Pred{&condition{op: isIn, dim: d, text: t}} }

// Present holds when d has a value.
func Present(d Dim) Pred { return Is(d, AnyValue()) }

// Absent holds when d has none.
func Absent(d Dim) Pred { return Not(Present(d)) }

// All holds when every one of ps does; without any it always holds.
func All(ps ...Pred) Pred { return join(allOf, ps) }

// Any holds when one of ps does; without any it never holds.
func Any(ps ...Pred) Pred { return join(anyOf, ps) }

func join(op operator, ps []Pred) Pred {
	if len(ps) == 1 {
		return ps[0]
	}
	if len(ps) == 0 && op == allOf {
		return Pred{}
	}
	return Pred{&condition{op: op, of: ps}}
}

// Not holds when p does not.
func Not(p Pred) Pred {
	if c := p.what(); c.op == notOf {
		return c.of[0]
	}
	return Pred{&condition{op: notOf, of: []Pred{p}}}
}

// atoms calls visit for every Is in p, in order, but for those of conditions
// that are in seen, to which it adds p.
func (p Pred) atoms(seen map[*condition]bool, visit func(Dim, Text)) {
	c := p.what()
	if c.op == isIn {
		visit(c.dim, c.text)
		return
	}
	if len(c.of) == 0 || seen[c] {
		return
	}
	seen[c] = true
	for _, q := range c.of {
		q.atoms(seen, visit)
	}
}

// OfMatch is the condition of one match.
func OfMatch(m model.Match) Pred {
	var all []Pred
	for _, p := range m.Paths {
		all = append(all, OfPath(p))
	}
	if len(m.Methods) > 0 {
		all = append(all, OfMethods(m.Methods))
	}
	if len(m.NotMethods) > 0 {
		all = append(all, Not(OfMethods(m.NotMethods)))
	}
	for _, c := range m.Headers {
		all = append(all, OfNamed(Header, c))
	}
	for _, c := range m.Query {
		all = append(all, OfNamed(Query, c))
	}
	for _, c := range m.Cookies {
		all = append(all, OfNamed(Cookie, c))
	}
	for _, c := range m.Claims {
		all = append(all, OfClaim(c))
	}
	return All(all...)
}

// OfMatches is the condition of an any-of list, where an empty list takes every
// request.
func OfMatches(ms []model.Match) Pred {
	if len(ms) == 0 {
		return Pred{}
	}
	var any []Pred
	for _, m := range ms {
		any = append(any, OfMatch(m))
	}
	return Any(any...)
}

// OfPath is a condition on the path.
func OfPath(p model.PathMatch) Pred {
	t := text(p.Kind, p.Value)
	if p.IgnoreCase {
		t = t.WithoutCase()
	}
	if p.Not {
		return Not(Is(Dim{Kind: Path}, t))
	}
	return Is(Dim{Kind: Path}, t)
}

// OfMethods holds for these methods.
func OfMethods(methods []string) Pred {
	var any []Pred
	for _, m := range methods {
		any = append(any, Is(Dim{Kind: Method}, Exactly(m)))
	}
	return Any(any...)
}

// OfNamed is a condition on a header, query key or cookie. A missing value
// satisfies only model.Absent and a negated condition. The pseudo-headers of
// model are the coordinates Host and Scheme.
func OfNamed(k Kind, c model.NamedMatch) Pred {
	d := Dim{k, c.Name}
	switch {
	case k == Header && c.Name == model.HostHeader:
		d = Dim{Kind: Host}
	case k == Header && c.Name == model.SchemeHeader:
		d = Dim{Kind: Scheme}
	}
	p := Present(d)
	switch c.Kind {
	case model.Present:
	case model.Absent:
		p = Not(p)
	default:
		p = Is(d, text(c.Kind, c.Value))
	}
	if c.Not {
		return Not(p)
	}
	return p
}

// OfHost is the condition of a host pattern: a name, "*.example.com" or "*".
func OfHost(pattern string) Pred {
	suffix, wild := strings.CutPrefix(pattern, "*")
	switch {
	case !wild:
		return Is(Dim{Kind: Host}, Exactly(pattern))
	case suffix == "":
		return Pred{}
	}
	return Is(Dim{Kind: Host}, EndsWith(suffix))
}

// text gives the set of values of a kind that looks at the value.
func text(kind model.MatchKind, value string) Text {
	switch kind {
	case model.Exact:
		return Exactly(value)
	case model.Prefix:
		return BeginsWith(value)
	case model.SegmentPrefix:
		return Below(value)
	case model.Suffix:
		return EndsWith(value)
	case model.Contains:
		return Containing(value)
	case model.Regex:
		return Matching(value)
	case model.Range:
		// check has read it; what cannot be read holds no number.
		first, end, _ := literals.Range(value)
		return Between(first, end)
	}
	panic("reach: match kind " + string(kind) + " does not look at a value")
}
