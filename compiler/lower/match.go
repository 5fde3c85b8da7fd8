package lower

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
	"github.com/meshc/meshc/compiler/scope"
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
		Methods:    sortedTexts(m.Methods),
		NotMethods: sortedTexts(m.NotMethods),
		Headers:    headerConditions(m),
		Query:      named(m.Query, nil),
		Cookies:    named(m.Cookies, nil),
		Claims:     claims(m.Claims),
		Origin:     m.At,
	}
	if len(out.Methods) > 0 {
		out.Methods = slices.DeleteFunc(out.Methods, func(name string) bool { return slices.Contains(out.NotMethods, name) })
		out.NotMethods = nil
	}
	switch {
	case m.Path != nil:
		out.Paths = []model.PathMatch{path(m.Path)}
	case m.GRPC != nil:
		out.Paths = []model.PathMatch{grpcPath(m.GRPC)}
	}
	return out
}

func path(p *intent.PathMatch) model.PathMatch {
	if p.Kind.V == intent.PathTemplate {
		expr, err := literal.Template(p.Value.V)
		if err != nil {
			panic("lower: intent was not checked: " + err.Error())
		}
		return model.PathMatch{Kind: model.Regex, Value: expr}
	}
	return model.PathMatch{
		Kind: model.MatchKind(p.Kind.V), Value: p.Value.V, IgnoreCase: scope.Or(p.IgnoreCase, false), Not: scope.Or(p.Not, false),
	}
}

// grpcPath: the path of an RPC is "/<service>/<method>" (gRPC over HTTP/2).
func grpcPath(g *intent.GRPCMatch) model.PathMatch {
	if g.Method == nil {
		return model.PathMatch{Kind: model.Prefix, Value: "/" + g.Service.V + "/"}
	}
	return model.PathMatch{Kind: model.Exact, Value: "/" + g.Service.V + "/" + g.Method.V}
}

// headerConditions are those on headers, on the host and on the scheme.
func headerConditions(m *intent.Match) []model.NamedMatch {
	out := named(m.Headers, strings.ToLower)
	if m.Scheme != nil {
		out = append(out, model.NamedMatch{Name: model.SchemeHeader, Kind: model.Exact, Value: m.Scheme.V})
	}
	if m.Host != nil {
		host := condition(model.HostHeader, m.Host)
		if host.Value = strings.ToLower(host.Value); host.Kind == model.Regex {
			host.Value = "(?i:" + m.Host.Value.V + ")"
		}
		out = append(out, host)
	}
	slices.SortStableFunc(out, reach.CompareNamed)
	return out
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
	not := scope.Or(n.Not, false)
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
