package engine

import (
	"time"

	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/snapshot"
	"github.com/meshc/meshc/dataplane/telemetry"
)

// What is counted of a cluster because its track_cluster_stats says so.

// sizeStats are one loop's histograms of what goes to a cluster and comes from it, an
// attempt at a time (request_response_sizes).
type sizeStats struct {
	rqHead, rqFields, rqBody telemetry.HistogramShard
	rsHead, rsFields, rsBody telemetry.HistogramShard
}

// budgetStats are one loop's histograms of how much of their time limits, in percent,
// requests and attempts have taken (timeout_budgets).
type budgetStats struct{ whole, perTry telemetry.HistogramShard }

// track adds to the counters of a cluster what t wants.
func (st *clusterStats) track(t snapshot.Track, histogram func(string) telemetry.HistogramShard) {
	if t.Sizes {
		st.sizes = &sizeStats{
			rqHead: histogram("upstream_rq_headers_size"), rqFields: histogram("upstream_rq_headers_count"), rqBody: histogram("upstream_rq_body_size"),
			rsHead: histogram("upstream_rs_headers_size"), rsFields: histogram("upstream_rs_headers_count"), rsBody: histogram("upstream_rs_body_size"),
		}
	}
	if t.Budgets {
		const prefix = "upstream_rq_timeout_budget_"
		st.budgets = &budgetStats{whole: histogram(prefix + "percent_used"), perTry: histogram(prefix + "per_try_percent_used")}
	}
}

// tracked is what is known of an attempt for these.
type tracked struct {
	from     int64 // when it began
	sent     int64 // bytes of the body
	got      int64
	late     bool     // the route gives no more time
	heard    bool     // the response has begun
	head     headSize // of it
	complete int64    // when the whole request had come; 0: it has not
}

// headSize is the size of a head as Envoy keeps it: names and values, those that begin
// with a colon included.
type headSize struct{ bytes, fields int64 }

func (h *headSize) add(name, value string) {
	h.bytes += int64(len(name) + len(value))
	h.fields++
}

func (h *headSize) addAll(fields []message.Field) {
	for i := range fields {
		h.add(fields[i].Name, fields[i].Value)
	}
}

// framing adds what HTTP/1.1 says of a body's length.
func (h *headSize) framing(f message.Framing, length int64) {
	switch f {
	case message.Chunked:
		h.add("transfer-encoding", "chunked")
	case message.Length:
		h.fields++
		h.bytes += int64(len("content-length") + digits(length))
	}
}

func digits(n int64) int {
	d := 1
	for ; n >= 10; n /= 10 {
		d++
	}
	return d
}

func requestSize(r *requestHead) (h headSize) {
	h.add(":method", r.Method)
	h.add(":path", r.Target)
	h.add(":authority", r.Authority)
	h.add(":scheme", r.Scheme)
	h.addAll(r.Fields)
	h.framing(r.framing, r.length)
	return h
}

// heardHead is called when an attempt's response has begun.
func (s *stream) heardHead(head *responseHead) {
	s.tracked.heard = true
	if s.host.pool.stats.sizes == nil {
		return
	}
	h := &s.tracked.head
	*h = headSize{bytes: int64(len(":status") + 3), fields: 1}
	h.addAll(head.Fields)
	h.framing(head.framing, head.length)
}

// measure is called when an attempt is over.
func (s *stream) measure() {
	st, t := s.host.pool.stats, &s.tracked
	if z := st.sizes; z != nil {
		rq := requestSize(&s.req)
		z.rqHead.ObserveSize(rq.bytes)
		z.rqFields.ObserveSize(rq.fields)
		z.rqBody.ObserveSize(t.sent)
		if t.heard {
			z.rsHead.ObserveSize(t.head.bytes)
			z.rsFields.ObserveSize(t.head.fields)
			z.rsBody.ObserveSize(t.got)
		}
	}
	if b := st.budgets; b != nil && !t.late {
		var limit time.Duration
		if r := s.route.Retry; r != nil {
			limit = r.PerTry
		}
		b.perTry.ObserveSize(share(s.w.now-t.from, limit))
	}
}

// spent counts how much of the route's time limit the request has taken.
func (s *stream) spent() {
	if b := s.cluster.pool.stats.budgets; b != nil {
		b.whole.ObserveSize(share(s.w.now-s.tracked.complete, s.route.Timeout))
	}
}

// share is took of limit, in percent of whole milliseconds; 0 where there is no limit
// (FilterUtility::percentageOfTimeout).
func share(took int64, limit time.Duration) int64 {
	if limit < time.Millisecond {
		return 0
	}
	return took / int64(time.Millisecond) * 100 / limit.Milliseconds()
}

// hostStats are one loop's cells of Envoy's cluster.<name>.endpoint.<address>.*
// statistics (per_endpoint_stats).
type hostStats struct {
	cxTotal, cxActive, cxConnectFail              *telemetry.Cell
	rqTotal, rqActive, rqError, rqSuccess, rqTime *telemetry.Cell
	healthy                                       *telemetry.Cell
}

// ofEndpoint is the label that an endpoint has.
func ofEndpoint(addr string) telemetry.Label {
	return telemetry.Label{Name: "envoy_endpoint_address", Value: addr}
}

func ofCluster(name string) telemetry.Label {
	return telemetry.Label{Name: "envoy_cluster_name", Value: name}
}

// countHost is nil where nobody asks for it.
func (p *pool) countHost(addr string) *hostStats {
	if !p.snap.Track.Endpoints {
		return nil
	}
	counter := func(name string) *telemetry.Cell {
		return p.w.e.reg.Counter("envoy_cluster_endpoint_"+name, ofCluster(p.key.name), ofEndpoint(addr)).Shard(p.w.id)
	}
	gauge := func(name string) *telemetry.Cell {
		return p.w.e.reg.Gauge("envoy_cluster_endpoint_"+name, ofCluster(p.key.name), ofEndpoint(addr)).Shard(p.w.id)
	}
	return &hostStats{
		cxTotal: counter("cx_total"), cxActive: gauge("cx_active"), cxConnectFail: counter("cx_connect_fail"),
		rqTotal: counter("rq_total"), rqActive: gauge("rq_active"), rqError: counter("rq_error"), rqSuccess: counter("rq_success"), rqTime: counter("rq_timeout"),
		healthy: gauge("healthy"),
	}
}

// forgetEndpoints drops the metrics of endpoints that are gone.
func (e *Engine) forgetEndpoints(old, now *snapshot.Config) {
	for name, was := range old.Clusters {
		is := now.Clusters[name]
		if is == nil || !was.Track.Endpoints {
			continue // with the cluster they go all at once
		}
		keep := map[string]bool{}
		if is.Track.Endpoints {
			for _, ep := range is.Endpoints {
				keep[ep.Addr.String()] = true
			}
		}
		for _, ep := range was.Endpoints {
			if addr := ep.Addr.String(); !keep[addr] {
				keep[addr] = true
				e.reg.Drop(ofCluster(name), ofEndpoint(addr))
			}
		}
	}
}

// count adds to one of an endpoint's counters, if there are any.
func (h *host) count(which func(*hostStats) *telemetry.Cell) {
	if h.counts != nil {
		which(h.counts).Inc()
	}
}

func rqError(c *hostStats) *telemetry.Cell   { return c.rqError }
func rqSuccess(c *hostStats) *telemetry.Cell { return c.rqSuccess }
func rqTimeout(c *hostStats) *telemetry.Cell { return c.rqTime }

// connectFailed counts a connection that could not be made.
func (h *host) connectFailed() {
	h.pool.stats.connectFail.Inc()
	if h.counts != nil {
		h.counts.cxConnectFail.Inc()
	}
}

// members counts the endpoints of a cluster and those that may get requests. One loop
// does it for all.
func (w *worker) members(v *clusterView) {
	if w.id != 0 {
		return
	}
	well := 0
	for i, ep := range v.snap.Endpoints {
		up := ep.Healthy && v.Well(i)
		if up {
			well++
		}
		if c := v.hosts[i].counts; c != nil {
			c.healthy.Set(boolInt(up))
		}
	}
	v.pool.stats.members.Set(int64(len(v.snap.Endpoints)))
	v.pool.stats.membersWell.Set(int64(well))
}

func boolInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
