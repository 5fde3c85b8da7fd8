package scope

import (
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
)

// CollectorPort is the port that takes telemetry: the one that c names, else the
// only one that speaks so. Nil means that there is none, or that a name is needed.
func CollectorPort(ports []*intent.Port, c *intent.Collector, speaks model.Protocol) *intent.Port {
	if c.Port != nil {
		return Port(ports, c.Port.V)
	}
	var found *intent.Port
	for _, p := range ports {
		if p.Protocol.V != string(speaks) {
			continue
		}
		if found != nil {
			return nil
		}
		found = p
	}
	return found
}

// Collects says that the telemetry of the mesh goes to what is called r, which
// has none of that itself: each record would make another one.
func (s *Scope) Collects(r model.Ref) bool { return s.collects[r] }

func collects(m *intent.Mesh) map[model.Ref]bool {
	out := map[model.Ref]bool{}
	for _, c := range CollectorsOf(m.Config.Telemetry) {
		out[literal.Ref(c.To.V, DefaultNamespace)] = true
	}
	return out
}

// CollectorsOf lists where a block sends telemetry.
func CollectorsOf(t *intent.Telemetry) []*intent.Collector {
	var out []*intent.Collector
	if t == nil {
		return nil
	}
	if x := t.Tracing; x != nil {
		out = append(out, x.OTLP, x.Zipkin)
	}
	if x := t.AccessLog; x != nil {
		out = append(out, x.OTLP)
	}
	var written []*intent.Collector
	for _, c := range out {
		if c != nil {
			written = append(written, c)
		}
	}
	return written
}
