package check

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
)

// tokensTaken finds services that require a token which every request of a
// gateway has lost there.
func (c *overModel) tokensTaken() {
	for _, g := range c.mesh.Gateways {
		done := map[model.Ref]bool{}
		for _, l := range g.Listeners {
			for _, h := range l.Hosts {
				for _, r := range h.Routes {
					if s := c.mesh.Service(r.Service); s != nil && !done[r.Service] {
						done[r.Service] = true
						c.tokenTaken(g, r, s)
					}
				}
			}
		}
	}
}

// tokenTaken: a gateway takes a token out of every place that one of its
// providers looks at. What else it lets through in such a place is no token of
// an issuer that it knows.
func (c *overModel) tokenTaken(g *model.Gateway, r *model.GatewayRoute, s *model.Service) {
	left := false
	var first *model.JWT
	for i := range s.JWT {
		t := &s.JWT[i]
		if !t.Required {
			continue
		}
		first = t
		for _, p := range t.From {
			left = left || !slices.ContainsFunc(g.JWT, func(at model.JWT) bool { return !at.Forward && slices.Contains(at.From, p) })
		}
	}
	if first == nil || left {
		return
	}
	d := c.report(diag.TokenTakenOut, first.Origin, "service %q requires a token, and gateway %q takes it out of the requests that it sends there", s.Name, g.Name)
	d.Related = []diag.Related{{Range: g.JWT[0].Origin, Message: "who takes it out"}, {Range: r.Origin, Message: "the route"}}
	d.Help = "write `forward: true` at the gateway"
}

// healthTokens finds health checks that a service answers with 401.
func (c *overModel) healthTokens() {
	for _, s := range c.mesh.Services {
		if len(model.Requiring(s.JWT)) == 0 {
			continue
		}
		for i := range s.Versions {
			h := s.HealthOf(s.Versions[i].Name)
			if h == nil || h.TCP != nil || c.has(diag.HealthTokenless, h.Origin) {
				continue
			}
			if q := question(h); !answer.Authenticate(s.JWT, s.Public, q).Passed {
				d := c.report(diag.HealthTokenless, h.Origin, "the health check of service %q is answered with 401: it has no token", s.Name)
				d.Witness = q.Method + " http://" + q.Host + q.Target
				path, _, _ := strings.Cut(q.Target, "?")
				d.Help = "add {paths: [{exact: \"" + path + "\"}]} to `public`"
			}
		}
	}
}
