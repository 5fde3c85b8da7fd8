package check

import (
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
)

// exceptions refuses one without a condition: it would except everything.
func (c *overIntent) exceptions(route intent.Value[string], ms []*intent.Match) {
	c.matchList(route, "except", ms)
	for _, m := range ms {
		if unconditional(m) {
			c.report(diag.ExceptEverything, m.At, "route %q: an exception without a condition excepts every request", route.V).Help = "take it away"
		}
	}
}

func unconditional(m *intent.Match) bool {
	return m.Path == nil && m.GRPC == nil && m.Host == nil && m.Scheme == nil &&
		len(m.Methods)+len(m.NotMethods)+len(m.Headers)+len(m.Query)+len(m.Cookies)+len(m.Claims) == 0
}

// methodsLeft reports a match whose `notMethod` takes away all that `method`
// names.
func (c *overIntent) methodsLeft(route intent.Value[string], m *intent.Match) {
	if len(m.Methods) == 0 || len(m.NotMethods) == 0 {
		return
	}
	left := slices.ContainsFunc(m.Methods, func(v intent.Value[string]) bool {
		return !slices.ContainsFunc(m.NotMethods, func(n intent.Value[string]) bool { return n.V == v.V })
	})
	if !left {
		c.report(diag.WrongValue, m.NotMethods[0].At, "route %q: `notMethod` takes away every method of `method`", route.V)
	}
}

// maxAlternatives is how many routes of a proxy one route of the mesh may
// become (compiler/emit/xds).
const maxAlternatives = 64

// alternatives reports a route whose negated headers multiply beyond what is
// emitted: a missing header meets a negated condition, and no proxy says both
// in one matcher.
func (c *overModel) alternatives() {
	for _, s := range c.in.services {
		for _, r := range s.Routes {
			for i := range r.Match {
				if ways(&r.Match[i]) > maxAlternatives {
					d := c.report(diag.TooManyAlternatives, r.Match[i].Origin, "route %q: this match negates too many headers: at most 6 can be", r.Name)
					d.Help = "let a route before this one take the requests that have one of these headers"
				}
			}
		}
	}
	for _, g := range c.in.gateways {
		for _, l := range g.Listeners {
			for _, h := range l.Hosts {
				c.gatewayAlternatives(h.Routes)
			}
		}
	}
}

func (c *overModel) gatewayAlternatives(routes []*model.GatewayRoute) {
	for _, r := range routes {
		for i := range r.Route.Match {
			if ways(&r.Route.Match[i]) > maxAlternatives {
				c.report(diag.TooManyAlternatives, r.Origin, "gateway route %q, met with route %q, negates too many headers: at most 6 can be", r.Rule(), r.Route.Name)
				return
			}
		}
	}
}

func ways(m *model.Match) int {
	n := 1
	for _, h := range m.Headers {
		if h.Not && h.Name != model.HostHeader && h.Name != model.SchemeHeader && n <= maxAlternatives {
			n *= 2
		}
	}
	return n
}
