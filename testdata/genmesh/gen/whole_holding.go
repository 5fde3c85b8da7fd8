package gen

import (
	"fmt"
	"slices"
)

// holding draws what compresses responses of a service and holds requests to it,
// in meshes for Envoy. Its routes are written before.
func (m *mesh) holding(f *source, s *service) {
	if !m.whole || !m.envoy {
		return
	}
	if m.chance(40) {
		f.line("admission: %s", m.admission(`statuses: ["2xx", "3xx", "404"]`))
	}
	if s.rpc {
		return
	}
	notPaths := m.pick("", `, notPaths: ["/events"]`, `, notPaths: ["/events", "/events/live"]`)
	m.compression(f, notPaths)
	if m.chance(40) && !s.upgrades {
		m.buffer(f, notPaths)
	}
}

// edgeHolding does so for the gateway, behind whose routes services have been
// written.
func (m *mesh) edgeHolding(f *source) {
	if !m.whole || !m.envoy {
		return
	}
	var streams []string
	for i, s := range m.behind {
		if s.rpc || s.upgrades {
			streams = append(streams, fmt.Sprintf("g%d", i))
		}
	}
	if m.chance(40) && !slices.Contains(streams, "g0") {
		streams = append(streams, "g0")
	}
	except := ""
	if len(streams) > 0 {
		except = ", except: " + list(streams)
	}
	m.compression(f, except)
	if m.chance(40) {
		m.buffer(f, except)
	}
}

func (m *mesh) compression(f *source, without string) {
	if m.chance(40) {
		f.line("compression: {encodings: [%s]%s%s%s}", m.pick(`"gzip"`, `"br"`, `"zstd", "gzip"`, `"br", "zstd", "gzip"`),
			m.maybe(fmt.Sprintf(", minLength: %d", 1+m.dice.IntN(5000))), m.maybe(`, contentTypes: ["text/html", "application/vnd.x+json"]`), without)
	}
}

func (m *mesh) buffer(f *source, without string) {
	f.line("buffer: {maxBytes: %d%s}", 1+m.dice.IntN(1<<20), without)
}

// admission draws what a service refuses while too few of its requests succeed.
func (m *mesh) admission(success string) string {
	return fmt.Sprintf("{window: %s%s%s%s%s%s}", quote(m.pick("10s", "1m")), m.maybe(", successRate: 90.5"), m.maybe(", aggression: 1.5"),
		m.maybe(fmt.Sprintf(", minRPS: %d", 1+m.dice.IntN(5))), m.maybe(", maxRejection: 60"), m.maybe(", success: {"+success+"}"))
}
