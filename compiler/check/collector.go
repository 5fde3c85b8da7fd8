package check

import (
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// collector: what takes telemetry exists, speaks the protocol, and is one
// cluster: nothing routes what a proxy itself sends.
func (c *overIntent) collector(to *intent.Collector, owner model.Ref, speaks model.Protocol) {
	ref := literal.Ref(to.To.V, owner.Namespace)
	s, x := c.scope.Service(ref), c.scope.External(ref)
	if ref == owner {
		c.report(diag.BadCollector, to.To.At, "%q sends telemetry about itself to itself: each record would make another one", to.To.V).Help = "send it elsewhere, or turn it off there"
		return
	}
	if s == nil && x == nil {
		d := c.report(diag.UnknownCollector, to.To.At, "telemetry goes to %q, which does not exist", ref)
		meantText(d, to.To, c.usable(owner), nil)
		return
	}
	what, ports := fmt.Sprintf("external %q", to.To.V), []*intent.Port(nil)
	if s != nil {
		what, ports = fmt.Sprintf("service %q", to.To.V), s.Ports
		if len(s.Versions) != 1 {
			d := c.report(diag.BadCollector, to.To.At, "%s has %d versions: what proxies send is not routed, so a collector has one", what, len(s.Versions))
			d.Related = []diag.Related{{Range: s.At, Message: "the service"}}
		}
	} else {
		ports = x.Ports
	}
	c.collectorPort(to, what, ports, speaks)
}

func (c *overIntent) collectorPort(to *intent.Collector, what string, ports []*intent.Port, speaks model.Protocol) {
	p := scope.CollectorPort(ports, to, speaks)
	var names []string
	for _, p := range ports {
		if p.Protocol.V == string(speaks) {
			names = append(names, p.Name.V)
		}
	}
	switch {
	case p == nil && to.Port != nil:
		d := c.report(diag.UnknownPort, to.Port.At, "%s has no port %q", what, to.Port.V)
		meantText(d, *to.Port, names, nil)
	case p == nil && len(names) == 0:
		c.report(diag.BadCollector, to.To.At, "%s has no %s port, which this telemetry is sent to", what, speaks)
	case p == nil:
		c.report(diag.AmbiguousPort, to.To.At, "%s has several %s ports", what, speaks).Help = "write `port`"
	case p.Protocol.V != string(speaks):
		d := c.report(diag.BadCollector, to.Port.At, "port %q of %s speaks %s, and this telemetry is sent by %s", p.Name.V, what, p.Protocol.V, speaks)
		d.Related = []diag.Related{{Range: p.Protocol.At, Message: "the port"}}
	}
}

// collected holds explicit allow lists of collectors against those that send
// them telemetry.
func (c *overIntent) collected() {
	mesh := scope.CollectorsOf(c.mesh.Config.Telemetry)
	for _, s := range c.mesh.Services {
		c.sends(scope.ServiceRef(s), c.scope.ServiceID(s), s.Telemetry, mesh, usesOf(s))
	}
	for _, g := range c.mesh.Gateways {
		c.sends(scope.GatewayRef(g), c.scope.GatewayID(g), g.Telemetry, mesh, nil)
	}
}

func (c *overIntent) sends(from model.Ref, id string, own *intent.Telemetry, mesh []*intent.Collector, uses []model.Ref) {
	list, namespace := scope.CollectorsOf(own), from.Namespace
	judge := func(to model.Ref, at diag.Range) {
		if !slices.Contains(uses, to) { // judged as a call
			c.refusedCaller(from, id, to, at)
		}
	}
	for _, to := range list {
		judge(literal.Ref(to.To.V, namespace), to.To.At)
	}
	if c.scope.Collects(from) {
		return
	}
	for _, to := range mesh {
		if inherits(own, c.mesh.Config.Telemetry, to) {
			judge(literal.Ref(to.To.V, scope.DefaultNamespace), to.To.At)
		}
	}
}

// inherits says that the block of the mesh in which to stands counts for the
// owner of own.
func inherits(own, mesh *intent.Telemetry, to *intent.Collector) bool {
	if own == nil {
		return true
	}
	if mesh.AccessLog != nil && mesh.AccessLog.OTLP == to {
		return own.AccessLog == nil
	}
	return own.Tracing == nil
}

func usesOf(s *intent.Service) []model.Ref {
	var out []model.Ref
	for _, u := range s.Uses {
		out = append(out, literal.Ref(u.Ref.V, scope.ServiceRef(s).Namespace))
	}
	return out
}
