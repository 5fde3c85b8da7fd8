package check

import (
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// anyCaller is `from: ["*"]`.
const anyCaller = "*"

func (c *overIntent) security() {
	for _, s := range c.mesh.Services {
		if s.Security == nil || !s.Security.HasAllow {
			continue
		}
		if len(s.Security.Allow) == 0 {
			c.report(diag.NobodyAllowed, s.Security.At, "service %q allows nobody", s.Name.V).
				Help = "leave `allow` out to allow the services that declare `uses`"
		}
		for _, a := range s.Security.Allow {
			c.allow(s, a)
		}
	}
}

func (c *overIntent) allow(s *intent.Service, a *intent.Allow) {
	if len(a.From) == 0 {
		c.report(diag.NobodyAllowed, a.At, "service %q: this rule lets nobody in", s.Name.V).Help = "name callers in `from`"
	}
	c.emptyLimits(s, a)
	mode := c.scope.Mode(s)
	for _, from := range a.From {
		if from.V == anyCaller {
			continue
		}
		if !c.knownCaller(s, a, from) {
			continue
		}
		switch mode {
		case model.MTLSDisable:
			d := c.report(diag.AllowWithoutMTLS, from.At, "service %q allows %q by name, and with mtls \"disable\" nobody has one", s.Name.V, from.V)
			d.Help = "set mtls to \"strict\", or allow \"*\""
		case model.MTLSPermissive:
			c.report(diag.PermissiveIdentity, from.At, "service %q allows %q by name: its plaintext requests are refused", s.Name.V, from.V)
		}
	}
}

// emptyLimits refuses a written list without elements: a list that a template
// left empty must not come to mean every method or every path.
func (c *overIntent) emptyLimits(s *intent.Service, a *intent.Allow) {
	if a.Methods != nil && len(a.Methods) == 0 {
		c.report(diag.NobodyAllowed, a.At, "service %q: this rule allows no method", s.Name.V).Help = "leave `methods` out to allow every method"
	}
	if a.Paths != nil && len(a.Paths) == 0 {
		c.report(diag.NobodyAllowed, a.At, "service %q: this rule allows no path", s.Name.V).Help = "leave `paths` out to allow every path"
	}
}

func (c *overIntent) knownCaller(s *intent.Service, a *intent.Allow, from intent.Value[string]) bool {
	self := scope.ServiceRef(s)
	ref := literal.Ref(from.V, self.Namespace)
	if _, ok := c.scope.CallerID(ref); ok {
		return true
	}
	if c.scope.External(ref) != nil {
		c.report(diag.UnknownCaller, from.At, "service %q allows %q, which lies outside the mesh and never calls", s.Name.V, from.V)
		return false
	}
	var known []string
	for _, o := range c.mesh.Services {
		known = append(known, written(scope.ServiceRef(o), self.Namespace))
	}
	for _, g := range c.mesh.Gateways {
		known = append(known, written(scope.GatewayRef(g), self.Namespace))
	}
	d := c.report(diag.UnknownCaller, from.At, "service %q allows %q, which does not exist", s.Name.V, from.V)
	meantText(d, from, known, a.From)
	return false
}

// callers compares what is declared with what is allowed, both ways.
func (c *overIntent) callers() {
	declared := map[[2]model.Ref]bool{}
	for _, s := range c.mesh.Services {
		from := scope.ServiceRef(s)
		for _, u := range s.Uses {
			to := literal.Ref(u.Ref.V, from.Namespace)
			declared[[2]model.Ref{from, to}] = true
			c.refusedCaller(from, c.scope.ServiceID(s), to, u.Ref.At)
		}
	}
	for _, g := range c.mesh.Gateways {
		from := scope.GatewayRef(g)
		for _, r := range g.Routes {
			to := literal.Ref(r.To.V, from.Namespace)
			if !declared[[2]model.Ref{from, to}] {
				c.refusedCaller(from, c.scope.GatewayID(g), to, r.To.At)
			}
			declared[[2]model.Ref{from, to}] = true
		}
	}
	c.idleCallers(declared)
}

// refusedCaller reports a declared caller that an explicit allow list leaves
// out. An empty list, and one with an unknown name, which may be meant for the
// caller, are reported where they stand.
func (c *overIntent) refusedCaller(from model.Ref, id string, to model.Ref, at diag.Range) {
	s := c.scope.Service(to)
	if s == nil || from == to || s.Security == nil || len(s.Security.Allow) == 0 {
		return
	}
	for _, a := range s.Security.Allow {
		if slices.ContainsFunc(a.From, func(v intent.Value[string]) bool { return c.mayMean(v.V, to.Namespace, id) }) {
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
		if s.Security == nil || c.scope.Mode(s) == model.MTLSDisable {
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
