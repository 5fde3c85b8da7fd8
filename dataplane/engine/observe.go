package engine

import (
	"strconv"
	"time"

	"github.com/meshc/meshc/dataplane/telemetry"
)

// connStats are what every filter chain counts of its connections.
type connStats struct{ cxTotal, cxActive, handshakeError *telemetry.Cell }

// httpStats are one loop's cells of Envoy's http.<stat_prefix>.* statistics.
type httpStats struct {
	connStats
	rqTotal, rqActive              *telemetry.Cell
	h2ProtocolError, cxMaxDuration *telemetry.Cell
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
		h2ProtocolError: counter("downstream_cx_protocol_error"),
		cxMaxDuration:   counter("downstream_cx_max_duration_reached"),
		rqTotal:         counter("downstream_rq_total"),
		rqActive:        w.e.reg.Gauge("envoy_http_downstream_rq_active", label).Shard(w.id),
		rqTime:          w.e.reg.Histogram("envoy_http_downstream_rq_time", label).Shard(w.id),
	}
	for i := range st.class {
		if i > 0 {
			st.class[i] = counter("downstream_rq_xx", codeClass(i))
		}
	}
	return st
}

func codeClass(i int) telemetry.Label {
	return telemetry.Label{Name: "envoy_response_code_class", Value: strconv.Itoa(i)}
}

func (st *connStats) connect() {
	st.cxTotal.Inc()
	st.cxActive.Add(1)
}

func (st *httpStats) begin() {
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
	perTryIdleTimeout, panics           *telemetry.Cell
	retryLimited, retryExponential      *telemetry.Cell
	class                               [6]*telemetry.Cell
	rqTime                              telemetry.HistogramShard // of attempts that were answered in full
}

func (w *worker) newClusterStats(name string) *clusterStats {
	label := telemetry.Label{Name: "envoy_cluster_name", Value: name}
	counter := func(name string, more ...telemetry.Label) *telemetry.Cell {
		return w.e.reg.Counter("envoy_cluster_"+name, append(more, label)...).Shard(w.id)
	}
	gauge := func(name string) *telemetry.Cell {
		return w.e.reg.Gauge("envoy_cluster_"+name, label).Shard(w.id)
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
		perTryIdleTimeout: counter("upstream_rq_per_try_idle_timeout"),
		retryLimited:      counter("upstream_rq_retry_backoff_ratelimited"),
		retryExponential:  counter("upstream_rq_retry_backoff_exponential"),
		cxMaxDuration:     counter("upstream_cx_max_duration_reached"),
		rqTime:            w.e.reg.Histogram("envoy_cluster_upstream_rq_time", label).Shard(w.id),
	}
	for i := 1; i < len(st.class); i++ {
		st.class[i] = counter("upstream_rq_xx", codeClass(i))
	}
	return st
}

func (st *clusterStats) response(status int) {
	if c := status / 100; c >= 1 && c <= 5 {
		st.class[c].Inc()
	}
}

// observe counts and logs the stream, once, at its end.
func (s *stream) observe() {
	took := time.Duration(s.w.now - s.start)
	status := 0
	if s.headSent {
		status = s.resp.Status
	}
	s.chain.stats.end(status, took)
	if len(s.chain.logs) > 0 {
		s.log(status, took)
	}
}
