package engine

import (
	"cmp"

	"github.com/meshc/meshc/dataplane/telemetry"
)

// tcpCounts are one loop's cells of one set of labels of connections of bytes.
type tcpCounts struct {
	grouped
	opened, closed, sent, received *telemetry.Cell
}

// countOpen counts the connection once its cluster is known, or will not be.
func (t *tunnel) countOpen() {
	if t.counted.opened || !t.d.w.e.counts {
		return
	}
	t.counted.opened = true
	t.counts("").opened.Inc()
}

// countBytes counts those that have passed since it last did.
func (t *tunnel) countBytes() {
	seen := &t.counted
	if !seen.opened || t.sent == seen.sent && t.received == seen.received {
		return
	}
	c := t.counts("")
	c.sent.Add(t.sent - seen.sent)
	c.received.Add(t.received - seen.received)
	seen.sent, seen.received = t.sent, t.received
}

func (t *tunnel) countClosed() {
	t.countOpen()
	t.countBytes()
	if t.counted.opened {
		t.counts(t.flags).closed.Inc()
	}
}

// countedTunnel is what of a connection is counted, and where it was last.
type countedTunnel struct {
	opened         bool
	sent, received int64
	last           between
	found          *tcpCounts // of last
}

func (t *tunnel) counts(flags string) *tcpCounts {
	key := between{cluster: t.cluster, principal: t.d.peer.SPIFFEID, flags: flags, tls: t.d.peer.TLS}
	seen := &t.counted
	if seen.found == nil || seen.last != key || seen.found.idle() {
		of, w := t.d.chain.tcp, t.d.w
		seen.last, seen.found = of.traffic.of(w, key, func() []telemetry.Label {
			return append(w.partiesOf(of.snap.Direction, key),
				telemetry.Label{Name: "request_protocol", Value: "tcp"}, telemetry.Label{Name: "response_flags", Value: cmp.Or(flags, "-")})
		}, w.newTCPCounts)
	}
	return seen.found
}

func (w *worker) newTCPCounts(g *telemetry.Group, _ between) *tcpCounts {
	counter := func(name string) *telemetry.Cell { return g.Counter("istio_tcp_" + name + "_total").Shard(w.id) }
	return &tcpCounts{
		grouped: grouped{g},
		opened:  counter("connections_opened"), closed: counter("connections_closed"),
		sent: counter("sent_bytes"), received: counter("received_bytes"),
	}
}
