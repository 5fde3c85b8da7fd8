package check

import (
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// copying is a mirror for another service, with all whose proxies follow it.
type copying struct {
	service *intent.Service // whose requests are copied
	route   *intent.Route
	mirror  *intent.Mirror
	to      model.Ref
	from    []model.Ref // callers of the route
}

// copyings lists the mirrors for other services; those for what does not exist
// are left out.
func (c *overIntent) copyings() []copying {
	var out []copying
	for _, s := range c.mesh.Services {
		var callers []model.Ref
		for _, r := range s.Routes {
			for _, m := range r.Mirror {
				to := scope.MirrorRef(s, m)
				if m.To == nil || c.scope.Service(to) == nil || to == scope.ServiceRef(s) {
					continue
				}
				if callers == nil {
					callers = c.callersOf(scope.ServiceRef(s))
				}
				out = append(out, copying{s, r, m, to, takenFrom(s, r, callers)})
			}
		}
	}
	return out
}

// takenFrom are those callers of a service that have a route.
func takenFrom(s *intent.Service, r *intent.Route, callers []model.Ref) []model.Ref {
	if len(r.From) == 0 {
		return callers
	}
	var out []model.Ref
	for _, from := range r.From {
		if ref := literal.Ref(from.V, scope.ServiceRef(s).Namespace); slices.Contains(callers, ref) {
			out = append(out, ref)
		}
	}
	return out
}

// copyCallers compares who sends copies with whom the service that gets them
// allows: what it refuses would show nothing, and nobody would see why.
func (c *overIntent) copyCallers(declared map[[2]model.Ref]bool) {
	for _, m := range c.copyings() {
		for _, from := range m.from {
			pair := [2]model.Ref{from, m.to}
			if id, known := c.scope.CallerID(from); known && !declared[pair] {
				declared[pair] = true
				c.refusedCaller(from, id, m.to, m.mirror.To.At)
			}
		}
	}
}

// copyLoops finds copies that lead to a request that is copied again.
func (c *overIntent) copyLoops() {
	all := c.copyings()
	if len(all) == 0 {
		return
	}
	next := map[model.Ref][]model.Ref{} // by service: what its requests and copies lead to
	for _, s := range c.mesh.Services {
		self := scope.ServiceRef(s)
		for _, u := range s.Uses {
			next[self] = append(next[self], literal.Ref(u.Ref.V, self.Namespace))
		}
	}
	for _, m := range all {
		for _, from := range m.from {
			next[from] = append(next[from], m.to)
		}
	}
	for _, m := range all {
		reached := reachedFrom(m.to, next)
		again := slices.IndexFunc(m.from, func(from model.Ref) bool { return reached[from] })
		if again < 0 {
			continue
		}
		d := c.report(diag.MirrorLoop, m.mirror.To.At, "route %q copies to service %q, whose own requests lead to route %q again, from %q",
			m.route.Name.V, m.mirror.To.V, m.route.Name.V, m.from[again])
		d.Help = "name the callers whose requests are copied in `from`, without \"" + written(m.from[again], scope.ServiceRef(m.service).Namespace) + "\""
	}
}

// reachedFrom are start and all that requests of it lead to.
func reachedFrom(start model.Ref, next map[model.Ref][]model.Ref) map[model.Ref]bool {
	out := map[model.Ref]bool{start: true}
	for work := []model.Ref{start}; len(work) > 0; work = work[1:] {
		for _, ref := range next[work[0]] {
			if !out[ref] {
				out[ref] = true
				work = append(work, ref)
			}
		}
	}
	return out
}
