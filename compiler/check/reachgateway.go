package check

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// gatewayReachability reports a gateway's rule, or a match of one, when on every
// host rules of the gateway before it take all that it leads to; and two rules
// that compete on some host.
func (c *overModel) gatewayReachability() {
	for _, g := range c.in.gateways {
		t := &gatewayTables{overModel: c, open: map[diag.Range]bool{}, crossed: map[diag.Range]bool{}}
		for _, l := range g.Listeners {
			c.eachHost(&t.allowance, g, l, t.markOpen, func(h model.GatewayHost) error { return t.host(l.Port, h) }, "every route can be reached")
		}
		for _, report := range t.hidden {
			report()
		}
	}
}

// eachHost judges the tables of a listener, and says of which it could not. Once a
// few tables of the gateway were too much, no other is tried.
func (c *overModel) eachHost(a *reach.Allowance, g *model.Gateway, l model.GatewayListener, open func(model.GatewayHost), judge func(model.GatewayHost) error, what string) {
	var untried []model.GatewayHost
	var why error
	for _, h := range l.Hosts {
		spent := a.Spent()
		err := judge(h)
		if err == nil {
			continue
		}
		open(h)
		if spent {
			untried, why = append(untried, h), err
			continue
		}
		a.Undecided(err)
		c.undecidedPart(l.Origin, fmt.Sprintf("host %q of gateway %q", h.Host, g.Ref), what, err)
	}
	if n := len(untried); n > 0 {
		c.undecidedPart(l.Origin, fmt.Sprintf("host %q and %d more of gateway %q", untried[0].Host, n-1, g.Ref), what, why)
	}
}

// gatewayTables are the tables of one gateway, a host each.
type gatewayTables struct {
	*overModel
	allowance reach.Allowance
	open      map[diag.Range]bool // rules and matches that something may reach, or that are reported
	crossed   map[diag.Range]bool // rules that are known to compete
	hidden    []func()            // reports what no table opens
}

// markOpen keeps rules of a table that was not decided from being reported.
func (c *gatewayTables) markOpen(h model.GatewayHost) {
	for _, r := range h.Routes {
		c.open[r.Origin] = true
		for _, m := range r.Route.Match {
			c.open[m.Origin] = true
		}
	}
}

// hide reports a rule or match when all tables are known, unless something
// reaches it in one of them.
func (c *gatewayTables) hide(at diag.Range, report func()) {
	c.hidden = append(c.hidden, func() {
		if !c.open[at] {
			c.open[at] = true // once
			report()
		}
	})
}

// host judges one table: the rules of the gateway, each of which stands there
// once per rule of its service.
func (c *gatewayTables) host(port uint16, h model.GatewayHost) error {
	groups := c.byRule(h.Routes)
	var all []reach.Pred
	for _, g := range groups {
		all = append(all, g.leads, g.ends)
	}
	space, err := c.allowance.New(all...)
	if err != nil {
		return err
	}
	t := &table{space: space}
	witness := func(set reach.Set) string {
		r := space.Witness(set)
		r.Port = port
		return witnessAt(r, exampleHost(h.Host))
	}
	for _, g := range groups {
		if err := c.rule(t, g, witness); err != nil {
			return err
		}
	}
	return nil
}

// rule adds a rule to a table.
func (c *gatewayTables) rule(t *table, g ruleGroup, witness func(reach.Set) string) error {
	leads, err := t.space.Set(g.leads)
	if err != nil {
		return err
	}
	left, err := t.space.Minus(leads, t.taken)
	if err != nil {
		return err
	}
	accepts, err := t.space.Set(reach.Any(g.leads, g.ends))
	if err != nil {
		return err
	}
	before := *t
	this := candidate{name: g.name, at: g.at, accepts: accepts}
	if _, err := t.put(this); err != nil {
		return err
	}
	if !left.Empty() || g.nowhere { // lower has reported that it leads nowhere
		c.open[g.at] = true
		if err := c.matches(before, g, witness); err != nil {
			return err
		}
		return c.competes(t, this, witness)
	}
	this.accepts = leads
	for _, m := range g.matches { // what is said of the rule is said of them
		c.open[m.at] = true
	}
	if leads.Empty() {
		c.hide(g.at, func() { c.neverMatches("gateway route", this) })
		return nil
	}
	all := *t
	c.hide(g.at, func() {
		if err := c.shadowed(&all, "gateway route", this, witness); err != nil {
			c.undecided(this.at, fmt.Sprintf("gateway route %q", this.name), err)
		}
	})
	return nil
}

// competes reports, once for all tables, that a rule shares requests with an
// earlier one, and neither is the exception to the other.
func (c *gatewayTables) competes(t *table, this candidate, witness func(reach.Set) string) error {
	if c.crossed[this.at] {
		return nil
	}
	found := len(c.diags)
	err := c.overModel.crossed(t, "gateway route", this, witness)
	c.crossed[this.at] = len(c.diags) > found
	return err
}

// matches notes which of several matches of a rule something reaches.
func (c *gatewayTables) matches(before table, g ruleGroup, witness func(reach.Set) string) error {
	if len(g.matches) < 2 {
		return nil
	}
	for _, m := range g.matches {
		set, err := before.space.Set(m.is)
		if err != nil {
			return err
		}
		left, err := before.space.Minus(set, before.taken)
		if err != nil {
			return err
		}
		if !left.Empty() || set.Empty() {
			c.open[m.at] = true
		}
		c.hide(m.at, func() {
			d := c.report(diag.HiddenMatch, m.at, "this match of gateway route %q takes no request: earlier routes take all of them", g.name)
			d.Witness = witness(set)
		})
		if before.taken, err = before.space.Union(before.taken, set); err != nil {
			return err
		}
	}
	return nil
}

// ruleGroup is one rule of a gateway.
type ruleGroup struct {
	name    string
	at      diag.Range
	leads   reach.Pred // to its service
	ends    reach.Pred // to a 404, because the service takes it not
	nowhere bool       // it never leads to its service
	matches []entry    // as they are written, in that order
}

// entry is one match of a rule.
type entry struct {
	at diag.Range
	is reach.Pred
}

func (c *gatewayTables) byRule(routes []*model.GatewayRoute) []ruleGroup {
	var out []ruleGroup
	for i := 0; i < len(routes); {
		g := ruleGroup{name: routes[i].Rule(), at: routes[i].Origin, nowhere: true}
		var leads, ends []reach.Pred
		for ; i < len(routes) && routes[i].Origin == g.at; i++ {
			p := reach.OfMatches(routes[i].Route.Match)
			g.entries(c.written(routes[i]))
			if routes[i].Route.NotFound {
				ends = append(ends, p)
				continue
			}
			g.nowhere = false
			leads = append(leads, p)
		}
		g.leads, g.ends = reach.Any(leads...), reach.Any(ends...)
		slices.SortFunc(g.matches, func(a, b entry) int {
			return cmp.Or(cmp.Compare(a.at.Start.Line, b.at.Start.Line), cmp.Compare(a.at.Start.Col, b.at.Start.Col))
		})
		out = append(out, g)
	}
	return out
}

// written are the matches of a rule that stand at the gateway: a rule without any
// has those of its service's routes.
func (c *gatewayTables) written(r *model.GatewayRoute) []model.Match {
	c.reads.Note(r.Service)
	s := c.mesh.Service(r.Service)
	if s == nil {
		return r.Route.Match
	}
	return slices.DeleteFunc(slices.Clone(r.Route.Match), func(m model.Match) bool {
		return slices.ContainsFunc(s.Routes, func(own *model.Route) bool {
			return slices.ContainsFunc(own.Match, func(o model.Match) bool { return o.Origin == m.Origin })
		})
	})
}

// entries adds matches to those of the same place.
func (g *ruleGroup) entries(list []model.Match) {
	for _, m := range list {
		p := reach.OfMatch(m)
		i := slices.IndexFunc(g.matches, func(e entry) bool { return e.at == m.Origin })
		if i < 0 {
			g.matches = append(g.matches, entry{m.Origin, p})
			continue
		}
		g.matches[i].is = reach.Any(g.matches[i].is, p)
	}
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
