package check

import (
	"errors"
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

func (c *overIntent) routes() {
	for _, s := range c.in.services {
		if lacksRoutes(s) {
			c.noRoutes(s)
		}
		var names []string
		for _, r := range s.Routes {
			names = append(names, r.Name.V)
		}
		for _, r := range s.Routes {
			c.routePort(s, r)
			c.action(s, r)
			c.orderNames(r.Before, names)
			c.orderNames(r.After, names)
		}
	}
}

// lacksRoutes says that a service which can be called has no routes, and that
// no default route can be made.
func lacksRoutes(s *intent.Service) bool {
	return len(s.Routes) == 0 && len(s.Ports) > 0 && len(s.Versions) != 1
}

func (c *overIntent) noRoutes(s *intent.Service) {
	if len(s.Versions) == 0 {
		d := c.report(diag.NoRoutes, s.Name.At, "service %q has ports and no version that could serve them", s.Name.V)
		d.Help = "write `versions: v1: {}`"
		return
	}
	d := c.report(diag.NoRoutes, s.Name.At, "service %q has %d versions and no route that chooses among them", s.Name.V, len(s.Versions))
	d.Help = fmt.Sprintf("write `routes: all: to: %s: 100`", s.Versions[0].Name.V)
}

func (c *overIntent) routePort(s *intent.Service, r *intent.Route) {
	if r.Port == nil {
		return
	}
	if scope.Port(s.Ports, r.Port.V) == nil {
		d := c.report(diag.UnknownPort, r.Port.At, "route %q: service %q has no port %q", r.Name.V, s.Name.V, r.Port.V)
		meantText(d, *r.Port, portNames(s), nil)
	}
}

func portNames(s *intent.Service) []string {
	var names []string
	for _, p := range s.Ports {
		names = append(names, p.Name.V)
	}
	return names
}

// destinations checks the versions and weights of one route. The sum is only
// judged when every weight is a weight.
func (c *overIntent) destinations(s *intent.Service, r *intent.Route) {
	if len(r.To) == 0 {
		c.report(diag.RouteToNothing, r.Name.At, "route %q sends its requests nowhere", r.Name.V).Help = "write `to`, `redirect` or `respond`"
		return
	}
	var known []string
	for _, v := range s.Versions {
		known = append(known, v.Name.V)
	}
	sum, readable, seen := uint32(0), true, map[string]bool{}
	for _, w := range r.To {
		c.version(s, r, w, known)
		if seen[w.Version.V] {
			c.report(diag.NameCollision, w.Version.At, "route %q names version %q twice", r.Name.V, w.Version.V)
		}
		seen[w.Version.V] = true
		bp, err := literal.Percent(w.Percent.V)
		if err != nil {
			c.weight(r, w, err)
			readable = false
		}
		sum += bp
	}
	if readable && sum != model.BasisPointsWhole {
		c.weightSum(r, sum)
	}
}

func (c *overIntent) version(s *intent.Service, r *intent.Route, w *intent.Weight, known []string) {
	if slices.Contains(known, w.Version.V) {
		return
	}
	d := c.report(diag.UnknownVersion, w.Version.At, "route %q sends to version %q, which service %q does not have", r.Name.V, w.Version.V, s.Name.V)
	meantLabel(d, w.Version, known, sendsToMeant(r, w))
}

func (c *overIntent) weight(r *intent.Route, w *intent.Weight, err error) {
	at := w.Percent.At
	if at.IsZero() {
		at = w.Version.At
	}
	if errors.Is(err, literal.ErrMissing) {
		c.report(diag.BadWeight, at, "route %q: the weight of version %q %s", r.Name.V, w.Version.V, err).Help = "write it out; a missing weight is never 0"
		return
	}
	d := c.report(diag.BadWeight, at, "route %q: weight %s of version %q %s", r.Name.V, w.Percent.V, w.Version.V, err)
	d.Help = "a weight is a percentage from 0 to 100 with at most two decimals"
	roundWeight(d, r, w)
}

// sendsToMeant says that a route sends, beside w, to what w is a misspelling of.
func sendsToMeant(r *intent.Route, w *intent.Weight) bool {
	for _, o := range r.To {
		if _, ok := diag.MeantName(w.Version.V, []string{o.Version.V}); ok {
			return true
		}
	}
	return false
}

// weightSum points from the first weight to the last.
func (c *overIntent) weightSum(r *intent.Route, sum uint32) {
	at := r.To[0].Version.At
	if last := r.To[len(r.To)-1].Percent.At; last.File == at.File && last.Compare(at) > 0 {
		at.End = last.End
	}
	d := c.report(diag.WeightSum, at, "weights of route %q add up to %s, not 100", r.Name.V, literal.FormatPercent(sum))
	last := r.To[len(r.To)-1]
	bp, _ := literal.Percent(last.Percent.V) // it is one: the sum is judged
	if bp+model.BasisPointsWhole < sum {
		return
	}
	weight := literal.FormatPercent(bp + model.BasisPointsWhole - sum)
	d.WithChoice(fmt.Sprintf("for example %s: %s, and the others as they are", last.Version.V, weight),
		diag.Edit{Op: diag.SetLiteral, Range: last.Percent.At, New: weight})
}

func (c *overIntent) orderNames(refs []intent.Value[string], names []string) {
	for _, ref := range refs {
		if !slices.Contains(names, ref.V) {
			d := c.report(diag.UnknownOrderRoute, ref.At, "there is no route %q to come before or after", ref.V)
			meantText(d, ref, names, refs)
		}
	}
}
