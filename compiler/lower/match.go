package lower

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

func matches(ms []*intent.Match) []model.Match {
	var out []model.Match
	for _, m := range ms {
		out = append(out, match(m))
	}
	return out
}

func match(m *intent.Match) model.Match {
	out := model.Match{
		Methods: sortedTexts(m.Methods),
		Headers: named(m.Headers, strings.ToLower),
		Query:   named(m.Query, nil),
		Cookies: named(m.Cookies, nil),
		Origin:  m.At,
	}
	if m.Path != nil {
		out.Paths = []model.PathMatch{path(m.Path)}
	}
	return out
}

func path(p *intent.PathMatch) model.PathMatch {
	return model.PathMatch{Kind: model.MatchKind(p.Kind.V), Value: p.Value.V}
}

// named lowers conditions on names; normalise, when given, makes names that
// mean the same equal.
func named(ns []*intent.NamedMatch, normalise func(string) string) []model.NamedMatch {
	var out []model.NamedMatch
	for _, n := range ns {
		name := n.Name.V
		if normalise != nil {
			name = normalise(name)
		}
		out = append(out, condition(name, n))
	}
	slices.SortStableFunc(out, reach.CompareNamed)
	return out
}

// condition writes presence in one way only: `present: false` and a negated
// `present: true` are both Absent.
func condition(name string, n *intent.NamedMatch) model.NamedMatch {
	not := n.Not != nil && n.Not.V
	if n.Kind.V != string(model.Present) {
		return model.NamedMatch{Name: name, Kind: model.MatchKind(n.Kind.V), Value: n.Value.V, Not: not}
	}
	if (n.Value.V == "true") != not {
		return model.NamedMatch{Name: name, Kind: model.Present}
	}
	return model.NamedMatch{Name: name, Kind: model.Absent}
}

func sortedTexts(vs []intent.Value[string]) []string {
	out := texts(vs)
	slices.Sort(out)
	return slices.Compact(out)
}
