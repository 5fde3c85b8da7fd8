package check

import (
	"fmt"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// gatewayReachability reports a gateway's rule when, on every host, rules of
// the gateway before it take all that it leads to.
func (c *overModel) gatewayReachability() {
	for _, g := range c.in.gateways {
		open := map[diag.Range]bool{} // rules that something may reach
		var hidden []func()
		for _, l := range g.Listeners {
			for _, h := range l.Hosts {
				reports, err := c.hostTable(l.Port, h, open)
				if err != nil {
					c.undecided(l.Origin, fmt.Sprintf("host %q of gateway %q", h.Host, g.Ref), err)
					markOpen(h, open)
					continue
				}
				hidden = append(hidden, reports...)
			}
		}
		for _, report := range hidden {
			report()
		}
	}
}

// markOpen keeps rules of a table that was not decided from being reported.
func markOpen(h model.GatewayHost, open map[diag.Range]bool) {
	for _, r := range h.Routes {
		open[r.Origin] = true
	}
}

// hostTable judges one table: the rules of the gateway, each of which stands
// there once per rule of its service. Rules of which something is left are
// noted in open; for the others it gives what is to be reported if no table
// opens them.
func (c *overModel) hostTable(port uint16, h model.GatewayHost, open map[diag.Range]bool) ([]func(), error) {
	groups := byRule(h.Routes)
	var all []reach.Pred
	for _, g := range groups {
		all = append(all, g.leads, g.ends)
	}
	space, err := reach.New(reach.DefaultLimits, all...)
	if err != nil {
		return nil, err
	}
	t := &table{space: space}
	witness := func(set reach.Set) string {
		r := space.Witness(set)
		r.Port = port
		return witnessAt(r, exampleHost(h.Host))
	}
	var hidden []func()
	for _, g := range groups {
		report, err := c.gatewayRule(t, g, witness)
		if err != nil {
			return nil, err
		}
		if report == nil {
			open[g.at] = true
			continue
		}
		hidden = append(hidden, func() {
			if !open[g.at] {
				open[g.at] = true // once
				report()
			}
		})
	}
	return hidden, nil
}

// gatewayRule adds a rule; it gives nil when some request reaches the rule's
// service through it.
func (c *overModel) gatewayRule(t *table, g ruleGroup, witness func(reach.Set) string) (func(), error) {
	leads, err := t.space.Set(g.leads)
	if err != nil {
		return nil, err
	}
	left, err := t.space.Minus(leads, t.taken)
	if err != nil {
		return nil, err
	}
	accepts, err := t.space.Set(reach.Any(g.leads, g.ends))
	if err != nil {
		return nil, err
	}
	if _, err := t.put(candidate{name: g.name, at: g.at, accepts: accepts}); err != nil {
		return nil, err
	}
	this := candidate{name: g.name, at: g.at, accepts: leads}
	switch {
	case !left.Empty() || g.nowhere: // lower has reported that it leads nowhere
		return nil, nil
	case leads.Empty():
		return func() { c.neverMatches("gateway route", this) }, nil
	}
	before := *t
	return func() {
		if err := c.shadowed(&before, "gateway route", this, witness); err != nil {
			c.undecided(this.at, fmt.Sprintf("gateway route %q", this.name), err)
		}
	}, nil
}

// ruleGroup is one rule of a gateway.
type ruleGroup struct {
	name    string
	at      diag.Range
	leads   reach.Pred // to its service
	ends    reach.Pred // to a 404, because the service takes it not
	nowhere bool       // it never leads to its service
}

func byRule(routes []*model.GatewayRoute) []ruleGroup {
	var out []ruleGroup
	for i := 0; i < len(routes); {
		g := ruleGroup{name: ruleName(routes[i]), at: routes[i].Origin, nowhere: true}
		var leads, ends []reach.Pred
		for ; i < len(routes) && routes[i].Origin == g.at; i++ {
			p := reach.OfMatches(routes[i].Route.Match)
			if routes[i].Route.NotFound {
				ends = append(ends, p)
				continue
			}
			g.nowhere = false
			leads = append(leads, p)
		}
		g.leads, g.ends = reach.Any(leads...), reach.Any(ends...)
		out = append(out, g)
	}
	return out
}

// exampleHost is a host that the pattern accepts.
func exampleHost(pattern string) string {
	switch {
	case pattern == "*":
		return "any.example"
	case pattern[0] == '*':
		return "any" + pattern[1:]
	}
	return pattern
}
