package check

import (
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// calledPorts are the ports of an external to which some proxy has a cluster: all
// of one that services use, else those that telemetry is sent to and keys are
// fetched from. Of one that nobody calls they are all, since that is said of it.
func (c *overIntent) calledPorts(e *intent.External) []*intent.Port {
	ref := scope.ExternalRef(e)
	if len(c.callersOf(ref)) > 0 {
		return e.Ports
	}
	asked := c.collectingPorts(e, ref)
	keys := func(sec *intent.Security, namespace string) {
		if sec == nil {
			return
		}
		for _, t := range sec.JWT {
			if k := t.JWKS; k != nil && k.External != nil && literal.Ref(k.External.V, namespace) == ref {
				if p := scope.KeyPort(e, k); p != nil {
					asked = append(asked, p)
				}
			}
		}
	}
	for _, s := range c.mesh.Services {
		keys(s.Security, scope.ServiceRef(s).Namespace)
	}
	for _, g := range c.mesh.Gateways {
		keys(g.Security, scope.GatewayRef(g).Namespace)
	}
	if len(asked) == 0 {
		return e.Ports
	}
	return asked
}

// collectingPorts are the ports of an external that telemetry is sent to.
func (c *overIntent) collectingPorts(e *intent.External, ref model.Ref) []*intent.Port {
	var out []*intent.Port
	takes := func(to *intent.Collector, namespace string, speaks model.Protocol) {
		if to != nil && literal.Ref(to.To.V, namespace) == ref {
			if p := scope.CollectorPort(e.Ports, to, speaks); p != nil {
				out = append(out, p)
			}
		}
	}
	sent := func(t *intent.Telemetry, namespace string) {
		if t == nil {
			return
		}
		if x := t.Tracing; x != nil {
			takes(x.OTLP, namespace, model.GRPC)
			takes(x.Zipkin, namespace, model.HTTP)
		}
		if x := t.AccessLog; x != nil {
			takes(x.OTLP, namespace, model.GRPC)
		}
	}
	sent(c.mesh.Config.Telemetry, scope.DefaultNamespace)
	for _, s := range c.mesh.Services {
		sent(s.Telemetry, scope.ServiceRef(s).Namespace)
	}
	for _, g := range c.mesh.Gateways {
		sent(g.Telemetry, scope.GatewayRef(g).Namespace)
	}
	return out
}
