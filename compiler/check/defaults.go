package check

import (
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/scope"
)

// defaults remarks what a mesh or a service says for others that all say it
// themselves.
func (c *overIntent) defaults() {
	if c.diags.HasErrors() || len(c.mesh.Services) == 0 {
		return
	}
	cfg := &c.mesh.Config
	own := func(s *intent.Service) bool { return s.Security != nil && s.Security.MTLS != nil }
	if cfg.MTLS != nil && !slices.ContainsFunc(c.mesh.Services, func(s *intent.Service) bool { return !own(s) }) {
		c.unused(cfg.MTLS.At, "every service of the mesh has its own `mtls`")
	}
	if cfg.Telemetry != nil && cfg.Telemetry.AccessLog != nil && c.allLog() {
		c.unused(cfg.Telemetry.AccessLog.At, "every service and gateway of the mesh has its own `accessLog`")
	}
	for _, s := range c.mesh.Services {
		c.unusedBlocks(s.Traffic, "every version of service \""+s.Name.V+"\"", versionTraffic(s))
	}
	c.unusedBlocks(cfg.Traffic, "every version and external of the mesh", c.ownTraffic())
}

// ownTraffic is what each version, and each external, has without the mesh.
func (c *overIntent) ownTraffic() []*intent.Traffic {
	var out []*intent.Traffic
	for _, s := range c.mesh.Services {
		for _, v := range versionTraffic(s) {
			out = append(out, scope.Overlay(s.Traffic, v))
		}
	}
	for _, e := range c.mesh.Externals {
		var t intent.Traffic
		if e.Traffic != nil {
			t = *e.Traffic
		}
		t.Locality = &intent.Locality{At: e.At} // externals have none, whoever writes it
		out = append(out, &t)
	}
	return out
}

func (c *overIntent) unused(at diag.Range, why string) {
	c.report(diag.DefaultUnused, at, "%s, so this has no effect", why)
}

func (c *overIntent) allLog() bool {
	logs := func(t *intent.Telemetry) bool { return t != nil && t.AccessLog != nil }
	return !slices.ContainsFunc(c.mesh.Services, func(s *intent.Service) bool { return !logs(s.Telemetry) }) &&
		!slices.ContainsFunc(c.mesh.Gateways, func(g *intent.Gateway) bool { return !logs(g.Telemetry) })
}

func versionTraffic(s *intent.Service) []*intent.Traffic {
	out := make([]*intent.Traffic, len(s.Versions))
	for i, v := range s.Versions {
		out[i] = v.Traffic
	}
	return out
}

// unusedBlocks remarks the blocks of t that all of those below it write.
func (c *overIntent) unusedBlocks(t *intent.Traffic, who string, below []*intent.Traffic) {
	if t == nil || len(below) == 0 {
		return
	}
	for i, b := range trafficBlocks(t) {
		if b.at.IsZero() || slices.ContainsFunc(below, func(o *intent.Traffic) bool { return o == nil || trafficBlocks(o)[i].at.IsZero() }) {
			continue
		}
		c.unused(b.at, who+" has its own `"+b.name+"`")
	}
}

// block is a block of `traffic`, and where it is written; zero where it is not.
type block struct {
	name string
	at   diag.Range
}

func trafficBlocks(t *intent.Traffic) []block {
	out := []block{{"connectTimeout", where(t.ConnectTimeout)}}
	add := func(name string, written bool, at func() diag.Range) {
		b := block{name: name}
		if written {
			b.at = at()
		}
		out = append(out, b)
	}
	add("connections", t.Connections != nil, func() diag.Range { return t.Connections.At })
	add("retryBudget", t.RetryBudget != nil, func() diag.Range { return t.RetryBudget.At })
	add("outliers", t.Outliers != nil, func() diag.Range { return t.Outliers.At })
	add("health", t.Health != nil, func() diag.Range { return t.Health.At })
	add("balance", t.Balance != nil, func() diag.Range { return t.Balance.At })
	add("locality", t.Locality != nil, func() diag.Range { return t.Locality.At })
	return out
}
