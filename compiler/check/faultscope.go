package check

import (
	"slices"

	"github.com/meshc/meshc/compiler/changed"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

func (c *overIntent) bandwidth(f *intent.Fault) {
	b := f.Bandwidth
	if b == nil {
		return
	}
	if b.KiBPerSecond.V < 1 {
		c.report(diag.WrongValue, b.KiBPerSecond.At, "fault %q: a rate of %d KiB/s lets nothing through", f.Name.V, b.KiBPerSecond.V).Help = "write an abort, if that is meant"
	}
	c.share(f, b.Percent, b.At)
}

// faultScope asks which requests a fault is for, and whether there are any.
func (c *overIntent) faultScope(s *intent.Service, f *intent.Fault) {
	ports := faultPorts(s, f)
	what := intent.Value[string]{V: f.On.V, At: f.Name.At}
	c.matchList(what, "match", f.Match)
	for _, m := range f.Match {
		c.grpcCondition(what, m, ports)
		if unconditional(m) {
			c.report(diag.FaultWithoutEffect, m.At, "fault %q: a match without a condition is every request of the route", f.Name.V).Help = "leave `match` out"
		}
	}
	if f.Abort != nil && f.Abort.GRPCStatus != nil {
		c.grpcAbort(f, ports)
	}
	if f.HasFrom && len(f.From) == 0 {
		c.report(diag.FaultWithoutEffect, f.Name.At, "fault %q is for no caller: `from` is empty", f.Name.V).Help = "leave `from` out to mean every caller"
	}
	for _, from := range f.From {
		c.faultCaller(s, f, from)
	}
	c.listedTwice("`from`", f.From, referring(scope.ServiceRef(s).Namespace))
	if f.MaxActive != nil && f.Delay == nil && f.Bandwidth == nil {
		c.report(diag.FaultWithoutEffect, f.MaxActive.At, "fault %q: an abort holds no request, so `maxActive` bounds nothing", f.Name.V).Help = "leave it out"
	}
}

// grpcAbort refuses a status of gRPC where no client would read it.
func (c *overIntent) grpcAbort(f *intent.Fault, ports []*intent.Port) {
	for _, p := range ports {
		if p.Protocol.V == string(model.HTTP) {
			d := c.report(diag.GRPCCondition, f.Abort.GRPCStatus.At, "fault %q: route %q is for port %q, whose clients do not speak gRPC", f.Name.V, f.On.V, p.Name.V)
			d.Help = "write `status`; or give the route the grpc port alone"
			d.Related = []diag.Related{{Range: p.Protocol.At, Message: "the port"}}
			return
		}
	}
}

// faultPorts are those of the route that a fault is on.
func faultPorts(s *intent.Service, f *intent.Fault) []*intent.Port {
	for _, r := range s.Routes {
		if r.Name.V == f.On.V {
			return routePorts(s, r)
		}
	}
	return s.Ports // the default route
}

// faultCaller: whom a fault is for calls the service.
func (c *overIntent) faultCaller(s *intent.Service, f *intent.Fault, from intent.Value[string]) {
	to := scope.ServiceRef(s)
	ref := literal.Ref(from.V, to.Namespace)
	callers := c.callersOf(to)
	if slices.Contains(callers, ref) {
		return
	}
	var known []string
	for _, caller := range callers {
		known = append(known, written(caller, to.Namespace))
	}
	if _, exists := c.scope.CallerID(ref); exists {
		d := c.report(diag.FaultWithoutEffect, from.At, "fault %q: %q does not call service %q, so its proxy injects nothing", f.Name.V, from.V, s.Name.V)
		d.Help = "take the name away, or declare the call: `uses`, or a route of a gateway"
		return
	}
	d := c.report(diag.UnknownCaller, from.At, "fault %q is for %q, which does not exist", f.Name.V, from.V)
	meantText(d, from, known, f.From)
}

// callersOf are the services that declare to use one, and the gateways with a
// route to it.
func (c *overIntent) callersOf(to model.Ref) []model.Ref {
	c.reads.Note(changed.WholeMesh)
	if c.calledBy == nil {
		c.calledBy = c.callersOfAll()
	}
	return c.calledBy[to]
}

func (c *overIntent) callersOfAll() map[model.Ref][]model.Ref {
	out := map[model.Ref][]model.Ref{}
	for _, s := range c.mesh.Services {
		from := scope.ServiceRef(s)
		for _, u := range s.Uses {
			to := literal.Ref(u.Ref.V, from.Namespace)
			out[to] = append(out[to], from)
		}
	}
	for _, g := range c.mesh.Gateways {
		from := scope.GatewayRef(g)
		for _, r := range g.Routes {
			to := literal.Ref(r.To.V, from.Namespace)
			if !r.Answers() && !slices.Contains(out[to], from) {
				out[to] = append(out[to], from)
			}
		}
	}
	return out
}

// faultBound: Envoy has one bound for all that a route injects. An abort alone
// holds nothing and goes by that of the others.
func (c *overIntent) faultBound(bounds map[string]*intent.Fault, f *intent.Fault) {
	if f.Delay == nil && f.Bandwidth == nil {
		return
	}
	first := bounds[f.On.V]
	if first == nil {
		bounds[f.On.V] = f
		return
	}
	if scope.Or(first.MaxActive, 0) == scope.Or(f.MaxActive, 0) {
		return
	}
	at := f.Name.At
	if f.MaxActive != nil {
		at = f.MaxActive.At
	}
	d := c.report(diag.FaultBounds, at, "faults %q and %q of route %q disagree on `maxActive`: a route has one bound", first.Name.V, f.Name.V, f.On.V)
	d.Related = []diag.Related{{Range: first.Name.At, Message: "the other fault"}}
	d.Help = "write the same number in both"
}
