package lower

import (
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// maxAlternatives bounds what one route becomes once its exceptions are taken
// out: each condition of an exception gives an alternative to each match.
const maxAlternatives = 64

// taken is the any-of list of a route: match without what except takes. The
// complement of a conjunction is the union of its negated conditions.
func (l *lowering) taken(route intent.Value[string], any, except []*intent.Match) []model.Match {
	out := matches(any)
	if len(except) == 0 {
		return out
	}
	if len(out) == 0 {
		out = []model.Match{{}}
	}
	for _, e := range except {
		exception := match(e)
		if reach.AllDisjoint(out, []model.Match{exception}) {
			l.diags.Add(diag.New(diag.ExceptWithoutEffect, e.At, "route %q: this exception takes none of the requests that `match` leaves", route.V))
			continue
		}
		if out = subtract(out, exception); len(out) > maxAlternatives {
			d := diag.New(diag.TooManyAlternatives, e.At, "route %q: with its exceptions taken out the route becomes more than %d alternatives", route.V, maxAlternatives)
			d.Help = "let a route before this one take the requests of the exceptions"
			l.diags.Add(d)
			return out
		}
	}
	if len(out) == 0 {
		l.diags.Add(diag.New(diag.ExceptEverything, except[0].At, "route %q: its exceptions take every request that `match` takes", route.V))
		return out
	}
	for _, m := range any {
		if !slices.ContainsFunc(out, func(o model.Match) bool { return o.Origin == m.At }) {
			l.diags.Add(diag.New(diag.HiddenMatch, m.At, "this match of route %q takes no request: earlier ones, or its exceptions, take all of them", route.V))
		}
	}
	return out
}

// subtract takes the requests of e out of an any-of list.
func subtract(from []model.Match, e model.Match) []model.Match {
	var out []model.Match
	keep := func(m model.Match) {
		if !slices.ContainsFunc(out, func(o model.Match) bool { return reach.Covers(o, m) }) {
			out = append(out, m)
		}
	}
	for _, m := range from {
		if reach.Disjoint(m, e) {
			keep(m)
			continue
		}
		for _, not := range complement(e) {
			if met, ok := reach.Meet(m, not); ok {
				keep(met)
			}
		}
	}
	return out
}

// complement gives the matches of which one takes whatever m does not.
func complement(m model.Match) []model.Match {
	var out []model.Match
	for _, p := range m.Paths {
		p.Not = !p.Not
		out = append(out, model.Match{Paths: []model.PathMatch{p}})
	}
	if len(m.Methods)+len(m.NotMethods) > 0 {
		out = append(out, model.Match{Methods: m.NotMethods, NotMethods: m.Methods})
	}
	for _, h := range m.Headers {
		out = append(out, model.Match{Headers: []model.NamedMatch{negated(h)}})
	}
	for _, q := range m.Query {
		out = append(out, model.Match{Query: []model.NamedMatch{negated(q)}})
	}
	for _, c := range m.Cookies {
		out = append(out, model.Match{Cookies: []model.NamedMatch{negated(c)}})
	}
	for _, c := range m.Claims {
		out = append(out, model.Match{Claims: []model.NamedMatch{negated(c)}})
	}
	return out
}

// negated keeps presence written in one way only.
func negated(n model.NamedMatch) model.NamedMatch {
	switch n.Kind {
	case model.Present:
		n.Kind = model.Absent
	case model.Absent:
		n.Kind = model.Present
	default:
		n.Not = !n.Not
	}
	return n
}
