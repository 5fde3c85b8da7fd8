package check

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// upgradedOn finds a route of s on a port that turns connections into something
// without an end; nil for none.
func upgradedOn(s *intent.Service, p *intent.Port) *intent.Route {
	for _, r := range s.Routes {
		if len(r.Upgrades) > 0 && slices.Contains(routePorts(s, r), p) {
			return r
		}
	}
	return nil
}

// bufferedUpgrades finds a route of s with upgrades that the buffer beside s holds.
func (c *overIntent) bufferedUpgrades(s *intent.Service, b *intent.Buffer) {
	for _, r := range s.Routes {
		if len(r.Upgrades) > 0 && !unbuffered(r, b.NotPaths) {
			c.report(diag.BufferedStream, b.At, "service %q: route %q has upgrades, of which a buffer waits for the end", s.Name.V, r.Name.V).
				Help = "name the paths of its matches in `notPaths`, as they are when they come to the service; leave `buffer` out; or have upgrades served by another service"
			return
		}
	}
}

// unbuffered says that the service sees what r takes on paths of notPaths only. No
// gateway gives it others: one that changes paths may not lead to routes by path.
func unbuffered(r *intent.Route, notPaths []intent.Value[string]) bool {
	outside := func(m *intent.Match) bool { return !onlyBelow(m.Path, notPaths) }
	switch w := r.Rewrite; {
	case !rewritesPath(w):
	case w.Path != nil:
		return belowAny(w.Path.V, notPaths)
	case w.Prefix != nil:
		outside = func(m *intent.Match) bool {
			return m.Path == nil || !onlyBelow(&intent.PathMatch{Kind: m.Path.Kind, Value: *w.Prefix}, notPaths)
		}
	default:
		return false // what an expression makes of a path is not known
	}
	return len(r.Match) > 0 && !slices.ContainsFunc(r.Match, outside)
}

func rewritesPath(w *intent.Rewrite) bool {
	return w != nil && (w.Path != nil || w.Prefix != nil || w.Regex != nil)
}

// onlyBelow says that every path that p takes is one of notPaths or below one.
// Those are compared as they are written, also where p is not.
func onlyBelow(p *intent.PathMatch, notPaths []intent.Value[string]) bool {
	switch {
	case !plainMatch(p):
		return false
	case p.Kind.V != string(model.Prefix):
		return belowAny(p.Value.V, notPaths)
	}
	return slices.ContainsFunc(notPaths, func(n intent.Value[string]) bool { return strings.HasPrefix(p.Value.V, n.V+"/") })
}

func belowAny(path string, notPaths []intent.Value[string]) bool {
	return slices.ContainsFunc(notPaths, func(n intent.Value[string]) bool { return path == n.V || strings.HasPrefix(path, n.V+"/") })
}

// plainMatch says that what p takes begins with its value.
func plainMatch(p *intent.PathMatch) bool {
	return p != nil && p.Kind.V != string(model.Regex) && !scope.Or(p.Not, false) && !scope.Or(p.IgnoreCase, false)
}
