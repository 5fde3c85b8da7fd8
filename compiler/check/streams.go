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
	if b.Connections == nil {
		return
	}
	some := slices.ContainsFunc(m.called, func(p *intent.Port) bool { return p.Protocol.V == string(model.GRPC) })
	if v := b.Connections.ConcurrentStreams; v != nil {
		t.streams[v] = t.streams[v] || some
	}
	if p := b.Connections.Pings; p != nil {
		t.pinged[p] = t.pinged[p] || some
	}
}

// speakingHTTP1 notes whether a port answers with the statuses that count.
func (t *traffic) speakingHTTP1(b *intent.Traffic, m meeting) {
	if o := b.Outliers; o != nil && len(o.Statuses) > 0 {
		t.judged[o] = t.judged[o] || slices.ContainsFunc(m.called, func(p *intent.Port) bool { return p.Protocol.V == string(model.HTTP) })
	}
}

// statusesUnused reports statuses that meet no port of http.
func (t *traffic) statusesUnused() {
	for o, used := range t.judged {
		if !used {
			t.once(diag.StatusesUnused, o.Statuses[0].At, "no port that is called with this is http, whose statuses it is about").
				help("leave `statuses` out")
		}
	}
}

// streamsUnused reports limits on streams that meet no port of HTTP/2.
func (t *traffic) streamsUnused() {
	for v, used := range t.streams {
		if !used {
			t.once(diag.StreamsUnused, v.At, "no port that is called with this is grpc, and on others a connection carries one request at a time").
				help("limit `max` connections or `maxRequests`")
		}
	}
}
