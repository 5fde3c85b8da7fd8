package check

import (
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// reachability finds, for each service, routes and matches that take no
// request, routes that compete, and requests that no route takes.
func (c *overModel) reachability() {
	tables := make([]toJudge, len(c.in.services))
	for i, s := range c.in.services {
		tables[i] = toJudge{s, c.callersTold(s)}
	}
	for _, found := range c.known.all(tables) {
		c.diags = append(c.diags, found...)
	}
}

// reachable is reachability of all services by unit.
func (c *overModel) reachable() []diag.List {
	tables := make([]toJudge, len(c.mesh.Services))
	for i, s := range c.mesh.Services {
		c.reads.Begin(i)
		tables[i] = toJudge{s, c.callersTold(s)}
	}
	c.reads.End()
	return c.known.all(tables)
}

// toJudge is a service, and who calls it where that matters. The judgement
// depends on nothing else: what is found is kept by what is here.
type toJudge struct {
	service *model.Service
	callers []model.Caller // nil: the routes do not tell callers apart
}

func (t toJudge) judge() diag.List {
	s := t.service
	if len(s.Routes) == 0 || len(s.Ports) == 0 { // nobody can call it
		return nil
	}
	c := &overModel{}
	if err := c.serviceTable(s, t.callers); err != nil {
		c.undecided(s.Origin, fmt.Sprintf("service %q", s.Ref), err)
	}
	return c.diags
}

// undecided says that a table was too much to decide, which is no verdict.
func (c *overModel) undecided(at diag.Range, what string, err error) {
	c.undecidedPart(at, what, "every route can be reached", err)
}

// undecidedPart says so of what one check asks.
func (c *overModel) undecidedPart(at diag.Range, whose, what string, err error) {
	if c.has(diag.ReachUnknown, at) {
		return // one place is too much for one reason, whatever is asked of it
	}
	d := c.report(diag.ReachUnknown, at, "%s: whether %s is %s", whose, what, err)
	d.Help = "fewer or simpler conditions on one coordinate, such as expressions and substrings, can be decided"
}

// table is a list of rules in one space, with the requests that each accepts
// and the requests that reach and are taken by it.
type table struct {
	space *reach.Space
	rules []candidate
	taken reach.Set // by the rules so far
}

// candidate is one rule of a table.
type candidate struct {
	name    string
	at      diag.Range
	accepts reach.Set
	effect  reach.Set // accepted, and taken by no earlier rule
	from    []model.Caller
}

// put adds a rule and finds what is left for it.
func (t *table) put(c candidate) (candidate, error) {
	var err error
	if c.effect, err = t.space.Minus(c.accepts, t.taken); err != nil {
		return c, err
	}
	t.taken, err = t.space.Union(t.taken, c.accepts)
	t.rules = append(t.rules, c)
	return c, err
}

// serviceTable judges the routes of one service. A client comes by one of the
// service's ports.
func (c *overModel) serviceTable(s *model.Service, callers []model.Caller) error {
	everyone := everyoneOf(s, callers)
	all := []reach.Pred{everyone}
	for _, r := range s.Routes {
		all = append(all, reach.OfPorts(r.Ports), reach.OfMatches(r.Match), fromOf(r))
	}
	space, err := reach.New(reach.DefaultLimits, all...)
	if err != nil {
		return err
	}
	t := &table{space: space}
	for _, r := range s.Routes {
		if err := c.serviceRoute(s, t, r, reach.All(everyone, reach.OfPorts(r.Ports), fromOf(r))); err != nil {
			return err
		}
	}
	return c.notCovered(s, t, everyone)
}

// serviceRoute adds a route, which is for the requests of where that it matches.
func (c *overModel) serviceRoute(s *model.Service, t *table, r *model.Route, where reach.Pred) error {
	accepts, err := t.space.Set(reach.All(where, reach.OfMatches(r.Match)))
	if err != nil {
		return err
	}
	before := t.taken
	this, err := t.put(candidate{name: r.Name, at: r.Origin, accepts: accepts, from: r.From})
	if err != nil {
		return err
	}
	witness := func(set reach.Set) string { return witnessAt(t.space.Witness(set), s.Host) }
	switch {
	case accepts.Empty():
		c.neverMatches("route", this)
		return nil
	case this.effect.Empty():
		return c.shadowed(t, "route", this, witness)
	}
	if err := c.hiddenMatches(t, r, where, before, witness); err != nil {
		return err
	}
	return c.crossed(t, "route", this, witness)
}

// witnessAt is the witness at a host, unless it has one.
func witnessAt(r *reach.Request, host string) string {
	if r.Host == "" {
		r.Host = host
	}
	return r.String()
}

func (c *overModel) neverMatches(kind string, this candidate) {
	d := c.report(diag.NeverMatches, this.at, "%s %q takes no request at all", kind, this.name)
	d.Help = "its conditions exclude each other, or no request can meet them; take it away"
}

// shadowed reports a rule that earlier ones leave nothing. They are the last of
// those that take some of its requests, and a request that it takes.
func (c *overModel) shadowed(t *table, kind string, this candidate, witness func(reach.Set) string) error {
	for _, e := range slices.Backward(t.rules[:len(t.rules)-1]) {
		both, err := t.space.Intersection(e.effect, this.accepts)
		if err != nil {
			return err
		}
		if both.Empty() {
			continue
		}
		d := c.report(diag.ShadowedRoute, this.at, "%s %q can never be reached: earlier routes take all of its requests", kind, this.name)
		d.Help = "move it above route \"" + e.name + "\", or take it away"
		d.Witness = witness(both)
		d.Related = []diag.Related{{Range: e.at, Message: "this route takes them"}}
		return t.moveAbove(d, this, e)
	}
	return nil
}

// moveAbove offers to bring a rule before the one that takes its requests: the
// only one to do so, which keeps some of its own. Then nothing else changes.
func (t *table) moveAbove(d *diag.Diagnostic, this, e candidate) error {
	left, err := t.space.Minus(this.accepts, e.effect)
	if err != nil || !left.Empty() {
		return err
	}
	kept, err := t.space.Minus(e.effect, this.accepts)
	if err != nil || kept.Empty() {
		return err
	}
	d.WithChoice(fmt.Sprintf("move it above route %q", e.name), diag.Edit{Op: diag.MoveBefore, Range: this.at, To: e.at})
	return nil
}

// hiddenMatches reports entries of the list that take no request, although the
// route does.
func (c *overModel) hiddenMatches(t *table, r *model.Route, where reach.Pred, before reach.Set, witness func(reach.Set) string) error {
	for _, m := range r.Match {
		if len(r.Match) == 1 || m.Origin.IsZero() {
			continue
		}
		set, err := t.space.Set(reach.All(where, reach.OfMatch(m)))
		if err != nil {
			return err
		}
		if set.Empty() {
			c.report(diag.NeverMatches, m.Origin, "no request meets all conditions of this match of route %q", r.Name)
			continue
		}
		left, err := t.space.Minus(set, before)
		if err != nil {
			return err
		}
		if left.Empty() {
			d := c.report(diag.HiddenMatch, m.Origin, "this match of route %q takes no request: earlier routes take all of them", r.Name)
			d.Witness = witness(set)
		}
		if before, err = t.space.Union(before, set); err != nil {
			return err
		}
	}
	return nil
}

// crossed reports the first earlier rule that competes with this one: each
// accepts requests that the other does not, so that neither is the exception
// to the other, and their order decides the requests that both accept.
func (c *overModel) crossed(t *table, kind string, this candidate, witness func(reach.Set) string) error {
	for _, e := range t.rules[:len(t.rules)-1] {
		if !slices.Equal(e.from, this.from) {
			continue // what is for some callers is the exception
		}
		both, err := t.space.Intersection(e.effect, this.accepts)
		if err != nil {
			return err
		}
		if both.Empty() {
			continue
		}
		only, err := t.space.Minus(e.accepts, this.accepts)
		if err != nil {
			return err
		}
		if only.Empty() {
			continue // the usual exception before the general rule
		}
		d := c.report(diag.CrossingRoutes, this.at, "%s %q shares requests with route %q, which comes first and takes them", kind, this.name, e.name)
		d.Why = "each takes requests that the other does not, so only their order says where the shared ones go"
		d.Witness = witness(both)
		d.Related = []diag.Related{{Range: e.at, Message: "this route takes them"}}
		return nil
	}
	return nil
}

func (c *overModel) notCovered(s *model.Service, t *table, ports reach.Pred) error {
	all, err := t.space.Set(ports)
	if err != nil {
		return err
	}
	left, err := t.space.Minus(all, t.taken)
	if err != nil || left.Empty() {
		return err
	}
	d := c.report(diag.NotCovered, s.Origin, "service %q: some requests match no route and get 404", s.Name)
	d.Witness = witnessAt(t.space.Witness(left), s.Host)
	d.Help = "end with a route that has no `match`"
	return nil
}
