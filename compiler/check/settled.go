package check

import (
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
)

// settledByClaims refuses what is for, or leaves out, routes that only a token leads
// to: which filters a request meets is settled by the route that it has as it comes,
// before its token is verified (FilterManager::createFilterChain in Envoy, and
// TestRoutesSettleFiltersOnce), and the route that claims lead to is chosen later.
func (c *overModel) settledByClaims() {
	for _, g := range c.mesh.Gateways {
		for i := range g.RateLimits {
			l := &g.RateLimits[i]
			c.lateFor(g, l.Routes, l.Origin, "rate limit \""+l.Name+"\" of gateway \""+g.Name+"\" counts nothing by route %q, which asks for claims: limits are settled by the route that a request has without its token")
		}
		if b := g.Buffer; b != nil {
			c.lateFor(g, b.Except, b.Origin, "`buffer` of gateway \""+g.Name+"\" does not leave route %q out, which asks for claims: that is settled by the route that a request has without its token")
		}
		if z := g.Compression; z != nil {
			c.lateFor(g, z.Except, z.Origin, "`compression` of gateway \""+g.Name+"\" does not leave route %q out, which asks for claims: that is settled by the route that a request has without its token")
		}
	}
}

// lateFor reports the first of some rules of a gateway that a token leads to.
func (c *overModel) lateFor(g *model.Gateway, rules []string, at model.Origin, format string) {
	for _, l := range g.Listeners {
		for _, h := range l.Hosts {
			for _, r := range h.Routes {
				if !slices.Contains(rules, r.Rule()) || !ledByToken(g, r.Route) || c.has(diag.SettledEarly, at) {
					continue
				}
				d := c.report(diag.SettledEarly, at, format, r.Rule())
				d.Related = []diag.Related{{Range: r.Origin, Message: "the route"}}
				return
			}
		}
	}
}

// ledByToken says that a match of the route holds for no request without a token.
func ledByToken(g *model.Gateway, r *model.Route) bool {
	return slices.ContainsFunc(model.OfClaims(g.JWT, r.Match), func(m model.Match) bool {
		return slices.ContainsFunc(m.Claims, func(c model.NamedMatch) bool { return !c.Not && c.Kind != model.Absent })
	})
}
