package check

import (
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// shadowed reports a route when earlier ones certainly take every request that
// it could: each of its matches, split by port and method, lies within one
// match of one earlier route. A gap that only several conditions together
// close is not looked for.
func (c *overModel) shadowed() {
	for _, s := range c.mesh.Services {
		for i, r := range s.Routes {
			if by := takenBy(r, s.Routes[:i]); by != nil {
				c.reportShadow("route", r.Name, r.Origin, by.Name, by.Origin)
			}
		}
	}
}

func (c *overModel) reportShadow(kind, name string, at diag.Range, by string, byAt diag.Range) {
	d := c.report(diag.ShadowedRoute, at, "%s %q can never be reached: earlier routes take all of its requests", kind, name)
	d.Help = "move it above route \"" + by + "\", or take it away"
	d.Related = []diag.Related{{Range: byAt, Message: "this route takes them"}}
}

// takenBy gives the last of the earlier routes that take everything of r, or
// nil when something may be left.
func takenBy(r *model.Route, earlier []*model.Route) *model.Route {
	var by *model.Route
	for _, part := range parts(r) {
		taker := taker(part, earlier)
		if taker == nil {
			return nil
		}
		by = taker
	}
	return by
}

// part is what one match of a route accepts on one port, with one method if
// it names any.
type part struct {
	port  uint16
	match model.Match
}

func parts(r *model.Route) []part {
	matches := r.Match
	if len(matches) == 0 {
		matches = []model.Match{{}}
	}
	var out []part
	for _, port := range r.Ports {
		for _, m := range matches {
			if len(m.Methods) == 0 {
				out = append(out, part{port, m})
			}
			for _, method := range m.Methods {
				one := m
				one.Methods = []string{method}
				out = append(out, part{port, one})
			}
		}
	}
	return out
}

func taker(p part, earlier []*model.Route) *model.Route {
	for _, e := range earlier {
		for _, other := range parts(e) {
			if other.port == p.port && reach.Covers(other.match, p.match) {
				return e
			}
		}
	}
	return nil
}

// shadowedGateway reports a gateway's rule when, on every host, rules of the
// gateway before it take all that it leads to.
func (c *overModel) shadowedGateway() {
	for _, g := range c.mesh.Gateways {
		open := map[diag.Range]bool{}                 // rules that something may reach
		by := map[diag.Range]*model.GatewayRoute{}    // one that takes requests of a rule
		rules := map[diag.Range]*model.GatewayRoute{} // a representative of each rule
		for _, l := range g.Listeners {
			for _, h := range l.Hosts {
				for i, r := range h.Routes {
					rules[r.Origin] = r
					other := gatewayTaker(r, h.Routes[:i])
					open[r.Origin] = open[r.Origin] || other == nil
					by[r.Origin] = other
				}
			}
		}
		for at, r := range rules {
			if !open[at] {
				c.reportShadow("gateway route", ruleName(r), at, ruleName(by[at]), by[at].Origin)
			}
		}
	}
}

// gatewayTaker finds a route of another rule that takes everything of r.
func gatewayTaker(r *model.GatewayRoute, earlier []*model.GatewayRoute) *model.GatewayRoute {
	for _, e := range earlier {
		if e.Origin != r.Origin && takenBy(withPort(r), []*model.Route{withPort(e)}) != nil {
			return e
		}
	}
	return nil
}

// withPort makes routes of different services comparable: on one listener the
// backend's port says nothing about the request.
func withPort(r *model.GatewayRoute) *model.Route {
	return &model.Route{Name: r.Name, Ports: []uint16{0}, Match: r.Route.Match, Origin: r.Origin}
}
