package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// policies judges guardrails by their form; whether the mesh keeps to them is
// for package policies.
func (c *overIntent) policies() {
	for _, p := range c.mesh.Config.Policies {
		g := &guardrail{c, p, fmt.Sprintf("policy %q", p.Name.V)}
		if howMany(p.Owned != nil, p.Egress != nil, p.Retries != nil, p.Faults != nil, p.Canary != nil, p.MTLS != nil, p.Access != nil, p.Freeze != nil) != 1 {
			c.report(diag.NotExactlyOne, p.Name.At, "%s is exactly one of `owned`, `egress`, `retries`, `faults`, `canary`, `mtls`, `access` and `freeze`", g.what)
			continue
		}
		g.egress()
		g.canary()
		g.windows(p.Faults)
		g.windows(p.Freeze)
		for _, e := range p.Exemptions {
			g.exemption(e)
		}
	}
}

// guardrail is one policy that is judged.
type guardrail struct {
	*overIntent
	p    *intent.Policy
	what string
}

func (g *guardrail) egress() {
	if g.p.Egress == nil {
		return
	}
	for _, h := range g.p.Egress.Hosts {
		if name := strings.TrimPrefix(h.V, "*."); name == "" || strings.ContainsAny(name, "*/: ") || name != strings.ToLower(name) {
			g.report(diag.BadPolicy, h.At, "%s: %q is not a host", g.what, literal.Clip(h.V)).Help = `write "api.example.com", or "*.example.com" for every name below`
		}
	}
	for _, n := range g.p.Egress.Networks {
		if _, err := literal.Network(n.V); err != nil {
			g.report(diag.BadNetwork, n.At, "%s: %s", g.what, err)
		}
	}
}

func (g *guardrail) canary() {
	step := g.p.Canary
	if step == nil {
		return
	}
	if points, err := literal.Percent(step.V); err != nil {
		g.report(diag.BadPolicy, step.At, "%s: `maxStep` %s", g.what, err)
	} else if points == 0 {
		g.report(diag.BadPolicy, step.At, "%s: `maxStep` is 0, so that no share could ever grow", g.what)
	}
}

func (g *guardrail) windows(w *intent.WindowsPolicy) {
	if w == nil {
		return
	}
	if len(w.Windows) == 0 && g.p.Freeze != nil {
		g.report(diag.BadPolicy, w.At, "%s has no window, so that it never holds anything back", g.what)
	}
	for _, one := range w.Windows {
		from, wrongFrom := literal.Time(one.From.V)
		until, wrongUntil := literal.Time(one.Until.V)
		switch {
		case wrongFrom != nil:
			g.report(diag.BadTime, one.From.At, "%s: window %q: %s", g.what, one.Name.V, wrongFrom)
		case wrongUntil != nil:
			g.report(diag.BadTime, one.Until.At, "%s: window %q: %s", g.what, one.Name.V, wrongUntil)
		case !from.Before(until):
			g.report(diag.BadPolicy, one.At, "%s: window %q ends before it begins", g.what, one.Name.V)
		}
	}
}

// subjects are what a policy speaks of.
func (g *guardrail) subjects() (kinds []string, routes bool) {
	switch p := g.p; {
	case p.Owned != nil:
		return []string{"service"}, false
	case p.Egress != nil:
		return []string{"external"}, false
	case p.Retries != nil, p.Faults != nil:
		return []string{"service"}, true
	case p.Canary != nil:
		return []string{"service", "gateway"}, true
	case p.Access != nil:
		return []string{"service", "external"}, false
	}
	return []string{"service", "gateway", "external"}, false
}

func (g *guardrail) exemption(e *intent.Exemption) {
	what := fmt.Sprintf("%s: exemption %q", g.what, e.Name.V)
	ExemptionForm(e, func(code diag.Code, at diag.Range, why string) { g.report(code, at, "%s%s", what, why) })
	if !ofOne(e) {
		return
	}
	kinds, routes := g.subjects()
	if e.Route != nil && !routes {
		g.report(diag.BadPolicy, e.Route.At, "%s: the policy does not speak of routes", what).Help = "leave `route` out"
	}
	g.subject(what, kinds, "service", e.Service, func(r model.Ref) bool { return g.scope.Service(r) != nil })
	g.subject(what, kinds, "gateway", e.Gateway, func(r model.Ref) bool { return g.scope.Gateway(r) != nil })
	g.subject(what, kinds, "external", e.External, func(r model.Ref) bool { return g.scope.External(r) != nil })
}

// subject of an exemption: one that the policy speaks of. That there is none of
// this name is no mistake where a change takes it away.
func (g *guardrail) subject(what string, kinds []string, kind string, name *intent.Value[string], there func(model.Ref) bool) {
	switch {
	case name == nil:
	case !slices.Contains(kinds, kind):
		g.report(diag.BadPolicy, name.At, "%s: the policy does not speak of a %s", what, kind).Help = "it speaks of: " + strings.Join(kinds, ", ")
	case !there(literal.Ref(name.V, scope.DefaultNamespace)):
		g.report(diag.ExemptionUnused, name.At, "%s: there is no %s %q", what, kind, literal.Clip(name.V))
	}
}
