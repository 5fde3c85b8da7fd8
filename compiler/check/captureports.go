package check

import (
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/target"
)

// proxyPorts are those to which the rules of a pod lead.
var proxyPorts = []int{int(model.CaptureOutboundPort), int(model.CaptureInboundPort)}

// ownPorts judges excluded ports that are the proxy's own, or captured never.
func (c *overIntent) ownPorts(k *intent.Capture) {
	for _, p := range k.ExcludeInbound {
		switch {
		case slices.Contains(proxyPorts, p.V):
			d := c.report(diag.BadCapture, p.At, "port %d is the proxy's own: who reaches it past the rules of the pod calls other services in the pod's name", p.V)
			d.Help = "leave it out"
		case p.V == int(model.HealthPort):
			c.report(diag.WorkloadDoesNothing, p.At, "port %d is that of the kubelet's questions, which is never captured", p.V).Help = "leave it out"
		}
	}
	for _, p := range k.ExcludeOutboundPorts {
		if p.V == int(model.DNSPort) {
			c.report(diag.WorkloadDoesNothing, p.At, "port %d is that of DNS, which is never captured", p.V).Help = "leave it out"
		}
	}
}

// reservedPorts refuses ports of a service that the proxies of its pods need.
func (c *overIntent) reservedPorts(s *intent.Service) {
	if c.scope.ServiceProxy(s) == target.GRPC || !c.injected(s) {
		return
	}
	for _, p := range s.Ports {
		if n := p.Number.V; slices.Contains(proxyPorts, n) || n == int(model.HealthPort) {
			c.report(diag.ReservedPort, p.Number.At, "port %d of service %q is one of its proxy's, in every pod", n, s.Name.V).Help = "take another number, or give its pods no proxy (`workload: inject: false`)"
		}
	}
}

// injected says whether the pods of a service get a proxy.
func (c *overIntent) injected(s *intent.Service) bool {
	for _, w := range []*intent.Workload{s.Workload, c.mesh.Config.Workload} {
		if w != nil && w.Inject != nil {
			return w.Inject.V
		}
	}
	return true
}
