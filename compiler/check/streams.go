package check

import (
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
)

// speakingHTTP2 holds what only HTTP/2 can do against the ports of one owner.
func (t *traffic) speakingHTTP2(b *intent.Traffic, m meeting) {
	other := slices.IndexFunc(m.ports, func(p *intent.Port) bool { return p.Protocol.V != string(model.GRPC) })
	if h := b.Health; h != nil && h.GRPC != nil && other >= 0 {
		p := m.ports[other]
		t.once(diag.HealthNotGRPC, h.GRPC.At, "%s is asked by gRPC on each of its ports, and its port %q is %s", m.what, p.Name.V, p.Protocol.V).
			related(p.Protocol.At, "the port").help("ask by http or tcp")
	}
	if b.Connections == nil || b.Connections.ConcurrentStreams == nil {
		return
	}
	v := b.Connections.ConcurrentStreams
	t.streams[v] = t.streams[v] || slices.ContainsFunc(m.ports, func(p *intent.Port) bool { return p.Protocol.V == string(model.GRPC) })
}

// streamsUnused reports limits on streams that meet no port of HTTP/2.
func (t *traffic) streamsUnused() {
	for v, used := range t.streams {
		if !used {
			t.once(diag.StreamsUnused, v.At, "no port that this is for is grpc, and on others a connection carries one request at a time").
				help("limit `max` connections or `maxRequests`")
		}
	}
}
