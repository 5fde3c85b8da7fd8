package check

import (
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/scope"
)

// egress checks egress gateways, and the externals that are reached through them.
func (c *overIntent) egress() {
	used := map[*intent.Gateway]bool{}
	for _, e := range c.mesh.Externals {
		if e.Via != nil {
			c.via(e)
			used[c.scope.Via(e)] = true
		}
	}
	for _, g := range c.mesh.Gateways {
		if !scope.IsEgress(g) {
			continue
		}
		c.egressFields(g)
		if !used[g] {
			c.report(diag.EgressUnused, g.Name.At, "no external is reached via the egress gateway %q", g.Name.V).Help = "write `via: \"" + g.Name.V + "\"` on an external, or take the gateway away"
		}
	}
}

func (c *overIntent) via(e *intent.External) {
	from := scope.ExternalRef(e)
	g := c.scope.Via(e)
	switch {
	case g == nil:
		var known []string
		for _, o := range c.mesh.Gateways {
			if scope.IsEgress(o) {
				known = append(known, written(scope.GatewayRef(o), from.Namespace))
			}
		}
		d := c.report(diag.BadVia, e.Via.At, "external %q: there is no gateway %q", e.Name.V, literal.Ref(e.Via.V, from.Namespace))
		meantText(d, *e.Via, known, nil)
	case !scope.IsEgress(g):
		d := c.report(diag.BadVia, e.Via.At, "external %q: gateway %q is not of kind egress", e.Name.V, g.Name.V)
		d.Related = []diag.Related{{Range: g.Name.At, Message: "the gateway"}}
	}
}

// egressFields reports what has no effect on an egress gateway.
func (c *overIntent) egressFields(g *intent.Gateway) {
	for _, f := range []struct {
		name string
		at   *diag.Range
	}{
		{"listeners", firstOf(g.Listeners, func(l *intent.GatewayListener) diag.Range { return l.Name.At })},
		{"routes", firstOf(g.Routes, func(r *intent.GatewayRoute) diag.Range { return r.Name.At })},
		{"timeouts", at(g.Timeouts, func(t *intent.GatewayTimeouts) diag.Range { return t.At })},
		{"trustedHops", at(g.TrustedHops, func(v *intent.Value[int]) diag.Range { return v.At })},
		{"trustedCIDRs", believed(g)},
		{"serverHeader", at(g.ServerHeader, func(v *intent.Value[string]) diag.Range { return v.At })},
		{"rateLimits", firstOf(g.RateLimits, func(l *intent.RateLimit) diag.Range { return l.Name.At })},
		{"compression", at(g.Compression, func(z *intent.Compression) diag.Range { return z.At })},
		{"buffer", at(g.Buffer, func(b *intent.Buffer) diag.Range { return b.At })},
		{"security", at(g.Security, func(s *intent.Security) diag.Range { return s.At })},
	} {
		if f.at != nil {
			c.report(diag.EgressFields, *f.at, "gateway %q is of kind egress: nothing acts on its `%s`", g.Name.V, f.name).Help = "leave it out, or write it on an ingress gateway"
		}
	}
}

func firstOf[T any](list []T, place func(T) diag.Range) *diag.Range {
	if len(list) == 0 {
		return nil
	}
	r := place(list[0])
	return &r
}
