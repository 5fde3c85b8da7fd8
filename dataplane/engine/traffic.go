package engine

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/snapshot"
	"github.com/meshc/meshc/dataplane/telemetry"
)

// Istio's standard metrics: who calls whom, and how it goes. A loop finds the
// counters of a request by what its labels depend on; only what is new costs a
// look at the registry.

// between is what the labels of a request depend on, beside the filter chain.
type between struct {
	cluster   *clusterView // nil: none was chosen
	principal string       // of the client
	flags     string
	status    int16
	grpc      int8 // the status of a call; noGRPC: it is none
	tls       bool
}

const (
	noGRPC      = -2 // no call of gRPC
	unknownGRPC = -1 // a call without a status
)

// counts are one loop's cells of one set of labels.
type counts struct {
	grouped
	requests             *telemetry.Cell
	duration, sent, read telemetry.HistogramShard
	asked, told          *telemetry.Cell // messages of gRPC; nil where there are none
}

// traffic is what a filter chain has counted, of one loop.
type traffic struct {
	tally[*counts]
	last  between
	found *counts // of last
}

// countTraffic counts the stream at its end.
func (s *stream) countTraffic(status int, took time.Duration) {
	key := between{cluster: s.cluster, principal: s.who.peer.SPIFFEID, flags: s.flags, status: int16(status), grpc: noGRPC, tls: s.who.peer.TLS}
	if key.cluster == nil && s.dest != nil {
		key.cluster = s.view.clusters[s.dest.Name]
	}
	if s.rpc.is {
		key.grpc = s.rpc.status
	}
	t := &s.chain.traffic
	if t.found == nil || t.last != key || t.found.idle() {
		t.find(s.w, s.chain.http.Direction, key)
	}
	c := t.found
	c.requests.Inc()
	c.duration.Observe(took)
	c.read.ObserveSize(s.reqBytes)
	c.sent.ObserveSize(s.respBytes)
	if c.asked != nil {
		c.asked.Add(s.rpc.asked.n)
		c.told.Add(s.rpc.told.n)
	}
}

// find makes the counts of key those of the last request. What is counted as of
// nobody has no key that a request has: it is looked for again each time.
func (t *traffic) find(w *worker, direction string, key between) {
	t.last, t.found = t.of(w, key, func() []telemetry.Label { return w.requestLabels(direction, key) }, w.newCounts)
}

func (w *worker) newCounts(g *telemetry.Group, key between) *counts {
	c := &counts{
		grouped:  grouped{g},
		requests: g.Counter("istio_requests_total").Shard(w.id),
		duration: g.Histogram("istio_request_duration_milliseconds").Shard(w.id),
		read:     g.Histogram("istio_request_bytes").Shard(w.id),
		sent:     g.Histogram("istio_response_bytes").Shard(w.id),
	}
	if key.grpc != noGRPC {
		c.asked = g.Counter("istio_request_messages_total").Shard(w.id)
		c.told = g.Counter("istio_response_messages_total").Shard(w.id)
	}
	return c
}

// otherLabels are those of what is too much to tell apart.
func otherLabels() []telemetry.Label {
	return append(partyLabels("source", nil, "", "other"), append(partyLabels("destination", nil, "", "other"), serviceLabels(nil, "other")...)...)
}

func (w *worker) requestLabels(direction string, key between) []telemetry.Label {
	protocol, grpc := "http", ""
	if key.grpc != noGRPC {
		protocol = "grpc"
		if key.grpc != unknownGRPC {
			grpc = strconv.Itoa(int(key.grpc))
		}
	}
	return append(w.partiesOf(direction, key), telemetry.Label{Name: "request_protocol", Value: protocol},
		telemetry.Label{Name: "response_code", Value: strconv.Itoa(int(key.status))},
		telemetry.Label{Name: "grpc_response_status", Value: grpc},
		telemetry.Label{Name: "response_flags", Value: cmp.Or(key.flags, "-")})
}

// partiesOf are the labels that say who calls whom. Who reports is the source
// where a proxy stands beside, or for, the client.
func (w *worker) partiesOf(direction string, key between) []telemetry.Label {
	self := &w.e.opts.Self
	var peer *snapshot.Party
	if key.cluster != nil {
		peer = &key.cluster.snap.Party
	}
	if direction != "inbound" || self.Gateway {
		own := ""
		if peer != nil && peer.Principal != "" {
			own = w.e.opts.Identity // it shows who it is
		} else if peer == nil {
			peer = &snapshot.Party{}
		}
		return labelsOf("source", self, own, peer, peer.Principal, unknown)
	}
	server := *self
	if peer != nil {
		server.Host = peer.Host
	}
	if key.principal == "" {
		return labelsOf("destination", &snapshot.Party{}, "", &server, "", "none")
	}
	return labelsOf("destination", partyOf(key.principal), key.principal, &server, w.e.opts.Identity, "mutual_tls")
}

// labelsOf are the labels that Istio's metrics of all protocols have.
func labelsOf(reporter string, source *snapshot.Party, sourceID string, to *snapshot.Party, toID, policy string) []telemetry.Label {
	out := []telemetry.Label{{Name: "reporter", Value: reporter}, {Name: "connection_security_policy", Value: policy}}
	out = append(out, partyLabels("source", source, sourceID, unknown)...)
	out = append(out, partyLabels("destination", to, toID, unknown)...)
	return append(out, serviceLabels(to, unknown)...)
}

// unknown is what Istio writes for what is not.
const unknown = "unknown"

// partyLabels are those of one end; without says what stands for what is not known.
func partyLabels(end string, p *snapshot.Party, principal, without string) []telemetry.Label {
	if p == nil {
		p = &snapshot.Party{}
	}
	workload := p.Service
	if p.Service != "" && p.Version != "" {
		workload += "-" + p.Version
	}
	label := func(name, value string) telemetry.Label {
		return telemetry.Label{Name: end + "_" + name, Value: cmp.Or(value, without)}
	}
	return []telemetry.Label{
		label("workload", workload), label("workload_namespace", p.Namespace), label("principal", principal),
		label("app", p.Service), label("version", p.Version), label("cluster", ""),
		label("canonical_service", p.Service), label("canonical_revision", cmp.Or(p.Version, latest(p))),
	}
}

// latest is the revision of a service that has no versions.
func latest(p *snapshot.Party) string {
	if p.Service == "" {
		return ""
	}
	return "latest"
}

func serviceLabels(p *snapshot.Party, without string) []telemetry.Label {
	if p == nil {
		p = &snapshot.Party{}
	}
	return []telemetry.Label{
		{Name: "destination_service", Value: cmp.Or(p.Host, without)},
		{Name: "destination_service_name", Value: cmp.Or(p.Service, without)},
		{Name: "destination_service_namespace", Value: cmp.Or(p.Namespace, without)},
	}
}

// partyOf is what a SPIFFE ID of the mesh says: its service account stands for the
// service, whose account has its name unless it says otherwise.
func partyOf(id string) *snapshot.Party {
	p := &snapshot.Party{Principal: id}
	_, rest, _ := strings.Cut(id, "/ns/")
	if ns, account, ok := strings.Cut(rest, "/sa/"); ok && !strings.Contains(account, "/") {
		p.Namespace, p.Service = ns, account
	}
	return p
}

// rpc is what is counted of a call of gRPC as it passes.
type rpc struct {
	is          bool
	status      int8 // unknownGRPC: none has come
	asked, told messages
}

func (s *stream) beginRPC() {
	if s.w.e.counts && message.IsGRPC(s.req.Fields) {
		s.rpc = rpc{is: true, status: unknownGRPC}
	}
}

// setStatus takes the status of the call from a head or from trailers.
func (r *rpc) setStatus(fields []message.Field) {
	if !r.is {
		return
	}
	if v, ok := message.Get(fields, "grpc-status"); ok {
		if n, err := strconv.ParseUint(v, 10, 8); err == nil && n <= 16 {
			r.status = int8(n)
		}
	}
}

// messages counts those of one direction: each is a flag, a length of four bytes,
// and as many bytes.
type messages struct {
	n    int64
	left uint64 // of the message
	head uint8  // bytes of its head that have come
	size uint32
}

func (m *messages) pass(piece []byte) {
	for len(piece) > 0 {
		if m.left > 0 {
			k := min(m.left, uint64(len(piece)))
			m.left -= k
			piece = piece[k:]
			continue
		}
		if m.head > 0 {
			m.size = m.size<<8 | uint32(piece[0])
		}
		piece = piece[1:]
		if m.head++; m.head == 5 {
			m.n++
			m.left, m.head, m.size = uint64(m.size), 0, 0
		}
	}
}

// sweepInterval is how often what nobody counts in any more is looked for.
const sweepInterval = time.Minute

func (e *Engine) sweep() {
	t := time.NewTicker(sweepInterval)
	defer t.Stop()
	for {
		select {
		case <-e.stop:
			return
		case now := <-t.C:
			e.reg.Sweep(now)
			e.closeUnused(now)
		}
	}
}
