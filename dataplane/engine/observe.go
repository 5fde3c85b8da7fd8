package engine

import (
	"strconv"
	"time"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/snapshot"
	"github.com/meshc/meshc/dataplane/telemetry"
)

// connStats are what every filter chain counts of its connections.
type connStats struct{ cxTotal, cxActive, handshakeError *telemetry.Cell }

// httpStats are one loop's cells of Envoy's http.<stat_prefix>.* statistics.
type httpStats struct {
	connStats
	rqTotal, rqActive              *telemetry.Cell
	h2ProtocolError, cxMaxDuration *telemetry.Cell
	forwardedInvalid               *telemetry.Cell    // no address where trusted proxies say the client's
	class                          [6]*telemetry.Cell // by first digit of the status
	rqTime                         telemetry.HistogramShard
}

func (w *worker) newHTTPStats(prefix string) *httpStats {
	label := telemetry.Label{Name: "envoy_http_conn_manager_prefix", Value: prefix}
	counter := func(name string, more ...telemetry.Label) *telemetry.Cell {
		return w.e.reg.Counter("envoy_http_"+name, append(more, label)...).Shard(w.id)
	}
	st := &httpStats{
		connStats: connStats{
			cxTotal:        counter("downstream_cx_total"),
			cxActive:       w.e.reg.Gauge("envoy_http_downstream_cx_active", label).Shard(w.id),
			handshakeError: counter("downstream_cx_ssl_connection_error"),
		},
		h2ProtocolError:  counter("downstream_cx_protocol_error"),
		cxMaxDuration:    counter("downstream_cx_max_duration_reached"),
		rqTotal:          counter("downstream_rq_total"),
		forwardedInvalid: counter("downstream_rq_xff_invalid"),
		rqActive:         w.e.reg.Gauge("envoy_http_downstream_rq_active", label).Shard(w.id),
		rqTime:           w.e.reg.Histogram("envoy_http_downstream_rq_time", label).Shard(w.id),
	}
	for i := range st.class {
		if i > 0 {
			st.class[i] = counter("downstream_rq_xx", codeClass(i))
		}
	}
	return st
}

// filterCounts are this loop's cells of what each filter counts.
func (w *worker) filterCounts(h *snapshot.HTTP) [][]filter.Counter {
	out := make([][]filter.Counter, len(h.Filters))
	for i, f := range h.Filters {
		counted, ok := f.(filter.Counted)
		if !ok {
			continue
		}
		names, own := counted.Counters()
		name, label := "envoy_http_", telemetry.Label{Name: "envoy_http_conn_manager_prefix", Value: h.StatPrefix}
		if own.Name != "" {
			name, label = "envoy_", telemetry.Label(own)
		}
		for _, n := range names {
			out[i] = append(out[i], w.e.reg.Counter(name+n, label).Shard(w.id))
		}
	}
	return out
}

func codeClass(i int) telemetry.Label {
	return telemetry.Label{Name: "envoy_response_code_class", Value: strconv.Itoa(i)}
}

func (st *connStats) connect() {
	st.cxTotal.Inc()
	st.cxActive.Add(1)
}

// begin counts a request; nil, for those of the proxy's own, counts none.
func (st *httpStats) begin() {
	if st == nil {
		return
	}
	st.rqTotal.Inc()
	st.rqActive.Add(1)
}

func (st *httpStats) end(status int, took time.Duration) {
	st.rqActive.Add(-1)
	if c := status / 100; c >= 1 && c <= 5 {
		st.class[c].Inc()
	}
	st.rqTime.Observe(took)
}

// clusterStats are one loop's cells of Envoy's cluster.<name>.* statistics.
type clusterStats struct {
	cxTotal, cxActive, cxOverflow       *telemetry.Cell
	connectFail, connectTimeout         *telemetry.Cell
	tlsError                            *telemetry.Cell
	rqTotal, rqActive, pendingOverflow  *telemetry.Cell
	timeout, perTryTimeout, noneHealthy *telemetry.Cell
	retry, retryLimit, retryOverflow    *telemetry.Cell
	staleResent, h2ProtocolError        *telemetry.Cell
	cxMaxRequests, cxMaxDuration        *telemetry.Cell
	keepaliveTimeout                    *telemetry.Cell
	perTryIdleTimeout, panics           *telemetry.Cell
	retryLimited, retryExponential      *telemetry.Cell
	class                               [6]*telemetry.Cell
	rqTime                              telemetry.HistogramShard // of attempts that were answered in full
	byName                              map[string]*telemetry.Cell
	members, membersWell                *telemetry.Cell // endpoints, set by the first loop
	completed, retrySuccess             *telemetry.Cell
	retried                             *telemetry.Cell    // answers after which there is another attempt
	retriedClass                        [6]*telemetry.Cell // the same
	sizes                               *sizeStats         // nil: nobody asks for them
	budgets                             *budgetStats       // the same
}

// clusterStats gives the counters of every cluster of c, those of old where it has
// them. Thirty of each cluster are looked up here, and not on the loops, for which a
// thousand clusters would be tens of milliseconds without a request.
func (e *Engine) clusterStats(c *snapshot.Config, old *prepared) map[string][]*clusterStats {
	all := make(map[string][]*clusterStats, len(c.Clusters))
	for name, cl := range c.Clusters {
		list := old.stats[name]
		if was := old.config.Clusters[name]; list == nil || was.Track != cl.Track {
			list = nil
			for _, w := range e.workers {
				list = append(list, e.newClusterStats(cl, w.id))
			}
		}
		all[name] = list
	}
	return all
}

// newClusterStats looks the counters of a cluster up that are the loop's of this
// number.
func (e *Engine) newClusterStats(c *snapshot.Cluster, loop int) *clusterStats {
	label := ofCluster(c.Name)
	counter := func(name string, more ...telemetry.Label) *telemetry.Cell {
		return e.reg.Counter("envoy_cluster_"+name, append(more, label)...).Shard(loop)
	}
	gauge := func(name string) *telemetry.Cell {
		return e.reg.Gauge("envoy_cluster_"+name, label).Shard(loop)
	}
	histogram := func(name string) telemetry.HistogramShard {
		return e.reg.Histogram("envoy_cluster_"+name, label).Shard(loop)
	}
	st := &clusterStats{
		cxTotal:           counter("upstream_cx_total"),
		cxActive:          gauge("upstream_cx_active"),
		cxOverflow:        counter("upstream_cx_overflow"),
		connectFail:       counter("upstream_cx_connect_fail"),
		connectTimeout:    counter("upstream_cx_connect_timeout"),
		tlsError:          counter("ssl_connection_error"),
		rqTotal:           counter("upstream_rq_total"),
		rqActive:          gauge("upstream_rq_active"),
		pendingOverflow:   counter("upstream_rq_pending_overflow"),
		timeout:           counter("upstream_rq_timeout"),
		perTryTimeout:     counter("upstream_rq_per_try_timeout"),
		noneHealthy:       counter("upstream_cx_none_healthy"),
		retry:             counter("upstream_rq_retry"),
		retryLimit:        counter("upstream_rq_retry_limit_exceeded"),
		retryOverflow:     counter("upstream_rq_retry_overflow"),
		staleResent:       counter("upstream_rq_stale_resent"),
		h2ProtocolError:   counter("upstream_cx_protocol_error"),
		panics:            counter("lb_healthy_panic"),
		cxMaxRequests:     counter("upstream_cx_max_requests"),
		keepaliveTimeout:  counter("http2_keepalive_timeout"),
		perTryIdleTimeout: counter("upstream_rq_per_try_idle_timeout"),
		retryLimited:      counter("upstream_rq_retry_backoff_ratelimited"),
		retryExponential:  counter("upstream_rq_retry_backoff_exponential"),
		cxMaxDuration:     counter("upstream_cx_max_duration_reached"),
		rqTime:            histogram("upstream_rq_time"),
		members:           gauge("membership_total"),
		membersWell:       gauge("membership_healthy"),
		completed:         counter("upstream_rq_completed"),
		retrySuccess:      counter("upstream_rq_retry_success"),
		retried:           counter("retry_upstream_rq_completed"),
	}
	st.track(c.Track, histogram)
	for i := 1; i < len(st.class); i++ {
		st.class[i] = counter("upstream_rq_xx", codeClass(i))
		st.retriedClass[i] = counter("retry_upstream_rq_xx", codeClass(i))
	}
	return st
}

// tally counts what a filter says of the request, under the cluster that it goes to.
func (s *stream) tally(names []string) {
	if s.route == nil || s.route.Direct.Status != 0 {
		return
	}
	to := s.route.Pick(s.splitValue())
	if to == nil {
		return
	}
	if c := s.view.clusters[to.Name]; c != nil {
		for _, name := range names {
			c.pool.stats.named(s.w, to.Name, name).Inc()
		}
	}
}

// named is a counter that some filter has a name for; there are as many as filters
// have.
func (st *clusterStats) named(w *worker, cluster, name string) *telemetry.Cell {
	c := st.byName[name]
	if c == nil {
		c = w.e.reg.Counter("envoy_cluster_"+name, telemetry.Label{Name: "envoy_cluster_name", Value: cluster}).Shard(w.id)
		if st.byName == nil {
			st.byName = map[string]*telemetry.Cell{}
		}
		st.byName[name] = c
	}
	return c
}

func (st *clusterStats) response(status int) {
	st.completed.Inc()
	if c := status / 100; c >= 1 && c <= 5 {
		st.class[c].Inc()
	}
}

// retriedResponse counts an answer after which there is another attempt.
func (st *clusterStats) retriedResponse(status int) {
	st.retried.Inc()
	if c := status / 100; c >= 1 && c <= 5 {
		st.retriedClass[c].Inc()
	}
}

// observe counts and logs the stream, once, at its end; what the proxy asks for
// itself is counted by the clusters that it asks, and no more.
func (s *stream) observe() {
	if s.fs.Over != nil {
		s.fs.Over()
	}
	if s.chain.stats == nil {
		return
	}
	took := time.Duration(s.w.now - s.start)
	status := 0
	if s.headSent {
		status = s.resp.Status
	}
	s.chain.stats.end(status, took)
	if s.w.e.counts {
		s.countTraffic(status, took)
	}
	if len(s.chain.logs) > 0 {
		s.w.write(s.chain.logs, s.record(status, took))
	}
	if s.chain.trace != nil {
		s.endTrace(status, took)
	}
}
