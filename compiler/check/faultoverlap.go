package check

import (
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// faultOverlaps finds faults that no request meets, because earlier routes take
// those that they are for; what an abort of every request leaves nothing to do;
// and faults that meet the same requests.
func (c *overModel) faultOverlaps() {
	for _, s := range c.in.services {
		if !slices.ContainsFunc(s.Routes, func(r *model.Route) bool { return len(r.Faults()) > 0 }) || len(s.Ports) == 0 {
			continue
		}
		if err := c.faultsOf(s); err != nil {
			c.undecidedPart(s.Origin, fmt.Sprintf("service %q", s.Ref), "every fault meets requests", err)
		}
	}
}

// judgedFaults are the faults of one route.
type judgedFaults struct {
	*overModel
	service *model.Service
	route   *model.Route
	table   *table
	takes   reach.Set // what the route accepts
	gets    reach.Set // what earlier routes leave it
	said    []string  // the faults that are known to meet nothing
}

func (c *overModel) faultsOf(s *model.Service) error {
	where := everyoneOf(s, c.callersTold(s))
	all := []reach.Pred{where}
	for _, r := range s.Routes {
		all = append(all, reach.OfPorts(r.Ports), reach.OfMatches(r.Match), fromOf(r))
		for _, f := range r.Faults() {
			all = append(all, ofFault(&f.FaultScope))
		}
	}
	space, err := reach.New(reach.DefaultLimits, all...)
	if err != nil {
		return err
	}
	t := &table{space: space}
	for _, r := range s.Routes {
		accepts, err := space.Set(reach.All(where, reach.OfPorts(r.Ports), fromOf(r), reach.OfMatches(r.Match)))
		if err != nil {
			return err
		}
		this, err := t.put(candidate{name: r.Name, at: r.Origin, accepts: accepts})
		if err != nil {
			return err
		}
		if this.effect.Empty() {
			continue // what is said of the route is said of its faults
		}
		j := &judgedFaults{overModel: c, service: s, route: r, table: t, takes: accepts, gets: this.effect}
		if err := j.all(); err != nil {
			return err
		}
	}
	return nil
}

// everyoneOf are the requests of clients of a service, which come by its ports.
func everyoneOf(s *model.Service, callers []model.Caller) reach.Pred {
	var ports []uint16
	for _, p := range s.Ports {
		ports = append(ports, p.Number)
	}
	if callers == nil {
		return reach.OfPorts(ports)
	}
	return reach.All(reach.OfPorts(ports), callerIDs(callers))
}

// ofFault is what a fault is for.
func ofFault(f *model.FaultScope) reach.Pred {
	if len(f.From) == 0 {
		return reach.OfMatches(f.Match)
	}
	return reach.All(reach.OfMatches(f.Match), callerIDs(f.From))
}

// metFault is a fault with the requests that it is for, whoever sends them.
type metFault struct {
	model.Fault
	gets reach.Set
}

func (j *judgedFaults) all() error {
	var met []metFault
	for _, f := range j.route.Faults() {
		some, err := j.met(f)
		if err != nil {
			return err
		}
		if !some {
			continue
		}
		gets, err := j.within(j.gets, reach.OfMatches(f.Match))
		if err != nil {
			return err
		}
		met = append(met, metFault{f, gets})
	}
	hidden, err := j.underAbort(met)
	if err != nil {
		return err
	}
	return j.together(met, hidden)
}

func (j *judgedFaults) within(set reach.Set, p reach.Pred) (reach.Set, error) {
	other, err := j.table.space.Set(p)
	if err != nil {
		return other, err
	}
	return j.table.space.Intersection(set, other)
}

func (j *judgedFaults) witness(set reach.Set) string {
	return witnessAt(j.table.space.Witness(set), j.service.Host)
}

// met says that some request meets a fault. Of one that none meets, and of its
// matches that none does, it is reported once.
func (j *judgedFaults) met(f model.Fault) (bool, error) {
	gets, err := j.within(j.gets, ofFault(&f.FaultScope))
	if err != nil {
		return false, err
	}
	if !gets.Empty() {
		return true, j.hiddenMatches(f)
	}
	takes, err := j.within(j.takes, ofFault(&f.FaultScope))
	if err != nil || slices.Contains(j.said, f.Name) {
		return false, err
	}
	j.said = append(j.said, f.Name)
	d := j.report(diag.FaultNotMet, f.Origin, "fault %q: no request of route %q meets it", f.Name, j.route.Name)
	if takes.Empty() {
		d.Help = "take it away, or let `match` and `from` name requests that the route takes"
		return false, nil
	}
	d.Message = fmt.Sprintf("fault %q: earlier routes take every request of route %q that meets it", f.Name, j.route.Name)
	d.Help = "write a fault for the route that takes them, or take this one away"
	d.Witness = j.witness(takes)
	return false, j.takenBy(d, takes)
}

// takenBy relates the earlier routes that take some of the requests.
func (j *judgedFaults) takenBy(d *diag.Diagnostic, takes reach.Set) error {
	for _, e := range j.table.rules[:len(j.table.rules)-1] {
		both, err := j.table.space.Intersection(e.effect, takes)
		if err != nil {
			return err
		}
		if !both.Empty() && !e.at.IsZero() {
			d.Related = append(d.Related, diag.Related{Range: e.at, Message: "this route takes them"})
		}
	}
	return nil
}

// hiddenMatches reports matches of a fault that no request meets but those that
// meet one before.
func (j *judgedFaults) hiddenMatches(f model.Fault) error {
	if len(f.Match) < 2 {
		return nil
	}
	var before reach.Set
	for _, m := range f.Match {
		scope := f.FaultScope
		scope.Match = []model.Match{m}
		gets, err := j.within(j.gets, ofFault(&scope))
		if err != nil {
			return err
		}
		left, err := j.table.space.Minus(gets, before)
		if err != nil {
			return err
		}
		if left.Empty() && !m.Origin.IsZero() && !j.has(diag.HiddenMatch, m.Origin) {
			d := j.report(diag.HiddenMatch, m.Origin, "this match of fault %q adds no request of route %q: earlier routes or matches take all of them", f.Name, j.route.Name)
			if takes, err := j.within(j.takes, ofFault(&scope)); err != nil {
				return err
			} else if !takes.Empty() {
				d.Witness = j.witness(takes)
			} else {
				d.Message = fmt.Sprintf("this match of fault %q adds no request: route %q takes none that meets it", f.Name, j.route.Name)
			}
		}
		if before, err = j.table.space.Union(before, gets); err != nil {
			return err
		}
	}
	return nil
}

// underAbort reports what an abort of all of its requests leaves nothing to do:
// the limited rate of a response that nobody gives, and copies. An abort comes
// before the route (Envoy: the fault filter before the router), and a bound on
// active faults lets requests through.
func (j *judgedFaults) underAbort(met []metFault) (hidden bool, err error) {
	i := slices.IndexFunc(met, func(f metFault) bool { return f.Kind == "abort" })
	bounded := slices.ContainsFunc(met, func(f metFault) bool { return f.MaxActive > 0 })
	if i < 0 || bounded || met[i].BasisPoints < model.BasisPointsWhole {
		return false, nil
	}
	abort := met[i]
	for _, f := range met {
		if f.Kind != "bandwidth" || f.Until.After(abort.Until) || !callersWithin(f.From, abort.From) {
			continue
		}
		left, err := j.table.space.Minus(f.gets, abort.gets)
		if err != nil {
			return false, err
		}
		if left.Empty() {
			hidden = true
			d := j.report(diag.UnderAbort, f.Origin, "fault %q slows no response down: fault %q answers all of its requests with %s", f.Name, abort.Name, abort.What)
			j.aborted(d, abort, f.gets)
		}
	}
	if left, err := j.table.space.Minus(j.gets, abort.gets); err != nil || !left.Empty() || len(abort.From) > 0 {
		return hidden, err
	}
	for _, m := range j.route.Mirror {
		d := j.report(diag.UnderAbort, m.Origin, "route %q copies nothing to %s: fault %q answers all of its requests with %s", j.route.Name, m.Target(), abort.Name, abort.What)
		j.aborted(d, abort, j.gets)
	}
	return hidden, nil
}

func (j *judgedFaults) aborted(d *diag.Diagnostic, abort metFault, requests reach.Set) {
	d.Witness = j.witness(requests)
	d.Related = []diag.Related{{Range: abort.Origin, Message: "the abort"}}
}

// callersWithin says that whoever the first are for, the others are for too.
func callersWithin(some, of []model.Caller) bool {
	return len(of) == 0 || len(some) > 0 && !slices.ContainsFunc(some, func(s model.Caller) bool {
		return !slices.ContainsFunc(of, func(o model.Caller) bool { return o.Ref == s.Ref })
	})
}

// together remarks faults of different names that meet the same requests of the
// same callers, and what becomes of these.
func (j *judgedFaults) together(met []metFault, hidden bool) error {
	for i, f := range met {
		for _, e := range met[:i] {
			if e.Name == f.Name || hidden && e.Kind == "abort" && f.Kind == "bandwidth" || !shareCallers(e.From, f.From) {
				continue
			}
			both, err := j.table.space.Intersection(e.gets, f.gets)
			if err != nil {
				return err
			}
			if both.Empty() {
				continue
			}
			d := j.report(diag.FaultsMeet, f.Origin, "faults %q and %q of route %q meet the same requests: %s", e.Name, f.Name, j.route.Name, bothAct(e.Kind, f.Kind))
			d.Witness = j.witness(both)
			d.Related = []diag.Related{{Range: e.Origin, Message: "the other fault"}}
		}
	}
	return nil
}

// bothAct says what becomes of requests that meet two faults, which model.Faults
// lists as delay, abort and bandwidth.
func bothAct(first, second string) string {
	switch {
	case first == "delay" && second == "abort":
		return "the delay holds them, and then the abort answers"
	case first == "delay":
		return "the delay holds them, and the response is slow too"
	}
	return "what the abort answers is not slowed down"
}

func shareCallers(a, b []model.Caller) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(x model.Caller) bool {
		return slices.ContainsFunc(b, func(y model.Caller) bool { return x.Ref == y.Ref })
	})
}
