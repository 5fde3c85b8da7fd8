package check

import (
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// notEntered remarks routes and faults, and matches of them, of services that only
// gateways call, where no gateway leads a request. lower has met the routes of
// gateways with those of services, and left out what takes nothing.
func (c *overModel) notEntered() {
	led := ledTo(c.mesh)
	g := c.graph()
	for i := range g.nodes {
		n := &g.nodes[i]
		called := slices.ContainsFunc(n.callers, func(k int) bool { return g.nodes[k].service != nil })
		if n.service != nil && !called && len(led[n.service.Ref]) > 0 {
			c.entered(n.service, led[n.service.Ref])
		}
	}
}

// ledTo gives, by service and name of its route, the requests that gateways
// lead there; no match at all is every request.
func ledTo(m *model.Mesh) map[model.Ref]map[string][]model.Match {
	out := map[model.Ref]map[string][]model.Match{}
	for _, gw := range m.Gateways {
		for _, l := range gw.Listeners {
			for _, h := range l.Hosts {
				for _, r := range h.Routes {
					if r.Route.NotFound || r.Service == (model.Ref{}) {
						continue
					}
					if out[r.Service] == nil {
						out[r.Service] = map[string][]model.Match{}
					}
					match := r.Route.Match
					if len(match) == 0 {
						match = []model.Match{{}}
					}
					out[r.Service][r.Route.Name] = append(out[r.Service][r.Route.Name], match...)
				}
			}
		}
	}
	return out
}

func (c *overModel) entered(s *model.Service, led map[string][]model.Match) {
	for _, r := range s.Routes {
		asked := led[r.Name]
		if r.Origin.IsZero() {
			continue
		}
		if len(asked) == 0 {
			c.report(diag.RouteNotEntered, r.Origin, "no gateway leads a request to route %q of service %q, and nobody else calls it", r.Name, s.Ref)
			continue
		}
		c.enteredMatches(entering(asked, r.Match), r.Match, fmt.Sprintf("of this match to route %q of service %q", r.Name, s.Ref))
		for _, f := range r.Faults() {
			if !f.Origin.IsZero() && len(f.Match) > 0 {
				c.enteredFault(asked, &f, fmt.Sprintf("route %q of service %q", r.Name, s.Ref))
			}
		}
	}
}

// enteredFault remarks a fault, or matches of it, that no request meets.
func (c *overModel) enteredFault(asked []model.Match, f *model.Fault, route string) {
	met := entering(asked, f.Match)
	if len(met) == 0 {
		c.report(diag.RouteNotEntered, f.Origin, "no gateway leads a request of fault %q to %s, and nobody else calls it", f.Name, route)
		return
	}
	c.enteredMatches(met, f.Match, fmt.Sprintf("of this match of fault %q to %s", f.Name, route))
}

// entering are the places of the matches that something asked meets. Several
// matches of the model may be of one that is written.
func entering(asked, matches []model.Match) map[diag.Range]bool {
	met := map[diag.Range]bool{}
	for _, m := range matches {
		if !met[m.Origin] && slices.ContainsFunc(asked, func(a model.Match) bool { return !reach.Disjoint(a, m) }) {
			met[m.Origin] = true
		}
	}
	return met
}

// enteredMatches remarks, once each, the matches whose place is not met.
func (c *overModel) enteredMatches(met map[diag.Range]bool, matches []model.Match, of string) {
	for _, m := range matches {
		if !met[m.Origin] && !m.Origin.IsZero() {
			met[m.Origin] = true
			c.report(diag.RouteNotEntered, m.Origin, "no gateway leads a request %s, and nobody else calls it", of)
		}
	}
}
