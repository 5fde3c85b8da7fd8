package check

import (
	"slices"

	"github.com/meshc/meshc/compiler/changed"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
	"github.com/meshc/meshc/compiler/scope"
)

// routeFrom: those whom routes are for exist, and call the service.
func (c *overIntent) routeFrom() {
	for _, s := range c.in.services {
		for _, r := range s.Routes {
			if r.From != nil && len(r.From) == 0 {
				c.report(diag.RouteForNobody, r.Name.At, "route %q is for no caller: `from` is empty", r.Name.V).Help = "leave `from` out to mean every caller"
			}
			for _, from := range r.From {
				c.routeCaller(s, r, from)
			}
			c.listedTwice("`from`", r.From, referring(scope.ServiceRef(s).Namespace))
		}
	}
}

func (c *overIntent) routeCaller(s *intent.Service, r *intent.Route, from intent.Value[string]) {
	to := scope.ServiceRef(s)
	ref := literal.Ref(from.V, to.Namespace)
	callers := c.callersOf(to)
	if slices.Contains(callers, ref) {
		return
	}
	if _, exists := c.scope.CallerID(ref); exists {
		d := c.report(diag.RouteForNobody, from.At, "route %q: %q does not call service %q, so its proxy does not have the route", r.Name.V, from.V, s.Name.V)
		d.Help = "take the name away, or declare the call: `uses`, or a route of a gateway"
		return
	}
	var known []string
	for _, caller := range callers {
		known = append(known, written(caller, to.Namespace))
	}
	d := c.report(diag.UnknownCaller, from.At, "route %q is for %q, which does not exist", r.Name.V, from.V)
	meantText(d, from, known, r.From)
}

// fromOf are the callers that have a route.
func fromOf(r *model.Route) reach.Pred {
	if len(r.From) == 0 {
		return reach.All()
	}
	return callerIDs(r.From)
}

func callerIDs(callers []model.Caller) reach.Pred {
	var any []reach.Pred
	for _, from := range callers {
		any = append(any, reach.Is(reach.Dim{Kind: reach.Identity}, reach.Exactly(from.SPIFFEID)))
	}
	return reach.Any(any...)
}

// callersTold are all who call a service, where its routes tell callers apart;
// else nil.
func (c *overModel) callersTold(s *model.Service) []model.Caller {
	if !slices.ContainsFunc(s.Routes, func(r *model.Route) bool { return len(r.From) > 0 }) {
		return nil
	}
	all := []model.Caller{}
	for _, by := range c.callersOf(s.Ref) {
		all = append(all, model.Caller{SPIFFEID: by.id})
	}
	return all
}

// callersOf are all who call a service.
func (c *overModel) callersOf(ref model.Ref) []caller {
	c.reads.Note(changed.WholeMesh)
	if c.calledBy == nil {
		c.calledBy = c.callers()
	}
	return c.calledBy[ref]
}
