package check

import (
	"fmt"
	"slices"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
)

// defaultExchangeIdle ends an exchange without a byte, unless the route says
// when, or its timeout is longer (Envoy: stream_idle_timeout).
const defaultExchangeIdle = 5 * time.Minute

// largeRadius is the share of requests from which a fault is no experiment any
// more, but an outage of what depends on it: half.
const largeRadius = model.BasisPointsWhole / 2

// faultEffects asks of each fault whether it does what it seems to, and whom it
// concerns.
func (c *overModel) faultEffects() {
	for _, s := range c.withFaults() {
		for _, r := range s.Routes {
			if r.Delay != nil && !c.delayNeverArrives(r) {
				c.delayOverCaller(s, r)
			}
			c.faultBeforeRoute(r)
			c.faultRadius(s, r)
		}
	}
}

// delayNeverArrives reports a delay in which the exchange ends: those limits
// run from the start of the request, which the fault holds.
func (c *overModel) delayNeverArrives(r *model.Route) bool {
	limit, what := r.IdleTimeout, "idleTimeout"
	if limit == 0 && r.Timeout > 0 {
		limit, what = max(r.Timeout, defaultExchangeIdle), "the default idleTimeout"
	}
	if r.MaxDuration > 0 && (limit == 0 || r.MaxDuration < limit) {
		limit, what = r.MaxDuration, "maxDuration"
	}
	if limit == 0 || r.Delay.Fixed < limit {
		return false
	}
	d := c.report(diag.DelayNeverArrives, r.Delay.Origin, "fault %q holds requests for %s, and %s of route %q ends them after %s: none of them arrives",
		r.Delay.Name, r.Delay.Fixed, what, r.Name, limit)
	d.Help = "shorten the delay; or write an abort, if that is meant"
	return true
}

// delayOverCaller reports a delay for which no route of a caller has time: what
// its own callers see is an error, and never a slow answer.
func (c *overModel) delayOverCaller(s *model.Service, r *model.Route) {
	g := c.graph()
	for _, v := range g.nodes[g.index[s.Ref]].callers {
		by := &g.nodes[v]
		if by.service == nil || len(by.callers) == 0 || !r.Delay.Concerns(by.service.Ref) {
			continue
		}
		longest, at, bounded := longestPatience(by.service)
		if !bounded || r.Delay.Fixed < longest {
			continue
		}
		d := c.report(diag.DelayOverCaller, r.Delay.Origin, "fault %q delays for %s, and callers of %s wait %s at most: they see 504, and never a slow answer",
			r.Delay.Name, r.Delay.Fixed, by.what, longest)
		d.Help = "shorten the delay; or write an abort, if that is meant"
		if !at.IsZero() {
			d.Related = []diag.Related{{Range: at, Message: "how long they wait"}}
		}
		return
	}
}

// longestPatience is the longest that callers of any route of s wait; bounded
// is false when some wait for ever, or there are no such routes.
func longestPatience(s *model.Service) (longest time.Duration, at diag.Range, bounded bool) {
	for _, r := range s.Routes {
		if r.Answers() {
			continue
		}
		p := patience(r)
		if p == 0 {
			return 0, at, false
		}
		if bounded = true; p > longest {
			longest, at = p, r.TimeoutOrigin
		}
	}
	return longest, at, bounded
}

// faultBeforeRoute remarks that timeout, tries and retries of the same route do
// not see the fault, which comes before them.
func (c *overModel) faultBeforeRoute(r *model.Route) {
	if d := r.Delay; d != nil {
		switch {
		case !r.TimeoutOrigin.IsZero() && r.Timeout > 0 && d.Fixed >= r.Timeout:
			c.report(diag.FaultBeforeRoute, d.Origin, "fault %q holds requests for %s before the %s of route %q begin: it makes none of them time out there", d.Name, d.Fixed, r.Timeout, r.Name)
			return
		case r.Retry != nil && r.Retry.PerTry > 0 && d.Fixed >= r.Retry.PerTry:
			c.report(diag.FaultBeforeRoute, d.Origin, "fault %q holds requests for %s before the first try of route %q begins, so perTry (%s) does not see it", d.Name, d.Fixed, r.Name, r.Retry.PerTry)
			return
		}
	}
	if a := r.Abort; a != nil && r.Retry != nil && retriesAbort(r.Retry, a) {
		c.report(diag.FaultBeforeRoute, a.Origin, "fault %q answers %s in place of route %q, whose retries of %s do not see it: nothing is tried again", a.Name, a.What(), r.Name, a.What())
	}
}

// retriesAbort says that an answer like that of a would be tried again.
func retriesAbort(r *model.Retry, a *model.Abort) bool {
	if a.GRPCStatus != 0 {
		return slices.Contains(r.On, model.GRPCStatusNames[a.GRPCStatus])
	}
	return retriesStatus(r, a.Status)
}

// retriesStatus says that an answer with a status would be tried again.
func retriesStatus(r *model.Retry, status uint32) bool {
	return slices.Contains(r.Statuses, status) ||
		slices.Contains(r.On, "5xx") && status >= 500 ||
		slices.Contains(r.On, "gateway-error") && status >= 502 && status <= 504 ||
		slices.Contains(r.On, "retriable-4xx") && status == 409
}

// faultRadius remarks who depends on a service of which a fault takes at least
// half of a route's requests.
func (c *overModel) faultRadius(s *model.Service, r *model.Route) {
	var most model.Fault
	for _, f := range r.Faults() {
		if f.BasisPoints > most.BasisPoints || f.BasisPoints == most.BasisPoints && f.Kind == "abort" {
			most = f
		}
	}
	if most.BasisPoints < largeRadius || most.MaxActive > 0 {
		return
	}
	which := "the"
	if len(most.Match) > 0 {
		which = "some"
	}
	if services, gateways, path := c.graph().dependants(s.Ref, &most.FaultScope); services+gateways > 0 {
		c.report(diag.FaultRadius, most.Origin, "fault %q takes %d.%02d %% of %s requests of route %q, on which %d of %d services and %d of %d gateways depend: %s",
			most.Name, most.BasisPoints/100, most.BasisPoints%100, which, r.Name, services, len(c.mesh.Services)-1, gateways, len(c.mesh.Gateways), path)
	}
}

// dependants counts who reaches a service by calls that a fault is for, and
// shows the way of the one that is found last, the farthest away.
func (g *callGraph) dependants(ref model.Ref, of *model.FaultScope) (services, gateways int, path string) {
	start := g.index[ref]
	next := map[int]int{start: start}
	queue := []int{start}
	for i := 0; i < len(queue); i++ {
		for _, v := range g.nodes[queue[i]].callers {
			if _, seen := next[v]; seen || queue[i] == start && !of.Concerns(g.nodes[v].ref) {
				continue
			}
			next[v] = queue[i]
			queue = append(queue, v)
			if g.nodes[v].service != nil {
				services++
			} else {
				gateways++
			}
		}
	}
	v := queue[len(queue)-1]
	for path = g.nodes[v].name; v != start; path = fmt.Sprintf("%s → %s", path, g.nodes[v].name) {
		v = next[v]
	}
	return services, gateways, path
}
