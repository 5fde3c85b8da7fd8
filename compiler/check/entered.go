package check

import (
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// notEntered remarks routes, and matches of routes, of services that only
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
		// Several matches of the model may be of one that is written.
		taken := map[diag.Range]bool{}
		for _, m := range r.Match {
			taken[m.Origin] = taken[m.Origin] || slices.ContainsFunc(asked, func(a model.Match) bool { return !reach.Disjoint(a, m) })
		}
		for _, m := range r.Match {
			if !taken[m.Origin] && !m.Origin.IsZero() {
				taken[m.Origin] = true
				c.report(diag.RouteNotEntered, m.Origin, "no gateway leads a request of this match to route %q of service %q, and nobody else calls it", r.Name, s.Ref)
			}
		}
	}
}
