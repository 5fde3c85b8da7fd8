package check

import (
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// callers compares what is declared with what is allowed, both ways.
func (c *overIntent) callers() {
	declared := map[[2]model.Ref]bool{}
	for _, s := range c.mesh.Services {
		from := scope.ServiceRef(s)
		for _, u := range s.Uses {
			if to := literal.Ref(u.Ref.V, from.Namespace); c.hasAllow(to) { // the others take whoever calls
				declared[[2]model.Ref{from, to}] = true
				c.refusedCaller(from, c.scope.ServiceID(s), to, u.Ref.At)
			} else if c.scope.Service(to) == nil && c.scope.External(to) == nil {
				declared[[2]model.Ref{from, c.misspelt(u.Ref.V, from)}] = true
			}
		}
	}
	for _, g := range c.mesh.Gateways {
		from := scope.GatewayRef(g)
		if g.Security != nil && g.Security.Authorizer != nil {
			asked := g.Security.Authorizer.Service
			to := literal.Ref(asked.V, from.Namespace)
			declared[[2]model.Ref{from, to}] = true
			c.refusedCaller(from, c.scope.GatewayID(g), to, asked.At)
		}
		for _, r := range g.Routes {
			if r.Answers() {
				continue
			}
			to := literal.Ref(r.To.V, from.Namespace)
			if !declared[[2]model.Ref{from, to}] {
				c.refusedCaller(from, c.scope.GatewayID(g), to, r.To.At)
			}
			declared[[2]model.Ref{from, to}] = true
			if c.scope.Service(to) == nil && c.scope.External(to) == nil {
				declared[[2]model.Ref{from, c.misspelt(r.To.V, from)}] = true
			}
		}
	}
	c.limitCallers(declared)
	c.copyCallers(declared)
	c.idleCallers(declared)
}

// refusedCaller reports a declared caller that an explicit allow list leaves
// out. An empty list, and one with an unknown name, which may be meant for the
// caller, are reported where they stand.
func (c *overIntent) refusedCaller(from model.Ref, id string, to model.Ref, at diag.Range) {
	if from == to || !c.hasAllow(to) {
		return
	}
	s := c.scope.Service(to)
	for _, a := range s.Security.Allow {
		if a.From == nil || slices.ContainsFunc(a.From, func(v intent.Value[string]) bool { return c.mayMean(v.V, to.Namespace, id) }) {
			return
		}
	}
	d := c.report(diag.UsedNotAllowed, at, "%q calls %q, whose `allow` does not name it", from, to)
	d.Help = "add \"" + written(from, to.Namespace) + "\" to `from`, or take the call away"
	d.Related = []diag.Related{{Range: s.Security.Allow[0].At, Message: "the allow list"}}
	if names := s.Security.Allow[0].From; len(s.Security.Allow) == 1 && len(names) > 0 {
		d.WithChoice("add \""+written(from, to.Namespace)+"\" to `from`",
			diag.Edit{Op: diag.Append, Range: names[len(names)-1].At, New: written(from, to.Namespace)})
	}
}

// misspelt gives the service or external that a name of nothing is most like: an
// allow list that has the caller is not told that it does not call.
func (c *overIntent) misspelt(name string, from model.Ref) model.Ref {
	return literal.Ref(nearest(name, c.usable(from)), from.Namespace)
}

// hasAllow says that a service lists whom it lets in.
func (c *overIntent) hasAllow(ref model.Ref) bool {
	s := c.scope.Service(ref)
	return s != nil && s.Security != nil && len(s.Security.Allow) > 0
}

// mayMean says whether an entry of `from` lets the identity in, or is unknown.
func (c *overIntent) mayMean(from, namespace, id string) bool {
	if from == anyCaller {
		return true
	}
	got, known := c.scope.CallerID(literal.Ref(from, namespace))
	return !known || got == id
}

// idleCallers reports names in allow lists that declare no call.
func (c *overIntent) idleCallers(declared map[[2]model.Ref]bool) {
	for _, s := range c.mesh.Services {
		if s.Security == nil || c.scope.Mode(s) == model.MTLSDisable && len(s.Security.Ports) == 0 {
			continue
		}
		to := scope.ServiceRef(s)
		for _, a := range s.Security.Allow {
			for _, from := range a.From {
				ref := literal.Ref(from.V, to.Namespace)
				if _, known := c.scope.CallerID(ref); known && !declared[[2]model.Ref{ref, to}] {
					d := c.report(diag.AllowedNotUsed, from.At, "service %q allows %q, which does not declare to use it", s.Name.V, from.V)
					d.Help = "add `uses` there, or take the name away"
					if len(a.From) > 1 {
						d.WithChoice("take the name away", diag.Edit{Op: diag.RemoveElement, Range: from.At})
					}
				}
			}
		}
	}
}
