package engine

import (
	"strconv"
	"time"

	"github.com/meshc/meshc/dataplane/route"
	"github.com/meshc/meshc/dataplane/snapshot"
	"github.com/meshc/meshc/dataplane/telemetry"
)

// routeStats are one loop's cells of Envoy's vhost.<name>.route.<stat_prefix>.*
// statistics, of routes that have a stat_prefix.
type routeStats struct {
	counter                                        func(name string, more ...telemetry.Label) *telemetry.Cell
	total                                          *telemetry.Cell // attempts
	completed                                      *telemetry.Cell
	timeout                                        *telemetry.Cell
	retry, retryLimit, retryOverflow, retrySuccess *telemetry.Cell
	class                                          [6]*telemetry.Cell
	codes                                          map[int]*telemetry.Cell
	time                                           telemetry.HistogramShard
}

// routeStats are those of r, made when its first request comes; nil: it has none.
func (c *chainView) routeStats(w *worker, r *route.Entry) *routeStats {
	if r.Counted == nil {
		return nil
	}
	st := c.routes[r]
	if st == nil {
		if c.routes == nil {
			c.routes = map[*route.Entry]*routeStats{}
		}
		st = w.newRouteStats(r.Counted)
		c.routes[r] = st
	}
	return st
}

func routeLabels(c *route.Counted) []telemetry.Label {
	return []telemetry.Label{{Name: "envoy_virtual_host", Value: c.VirtualHost}, {Name: "envoy_route", Value: c.Prefix}}
}

func (w *worker) newRouteStats(c *route.Counted) *routeStats {
	const prefix = "envoy_vhost_route_upstream_rq"
	counter := func(name string, more ...telemetry.Label) *telemetry.Cell {
		return w.e.reg.Counter(prefix+name, append(more, routeLabels(c)...)...).Shard(w.id)
	}
	st := &routeStats{
		counter: counter,
		total:   counter("_total"), completed: counter("_completed"), timeout: counter("_timeout"),
		retry: counter("_retry"), retryLimit: counter("_retry_limit_exceeded"), retryOverflow: counter("_retry_overflow"), retrySuccess: counter("_retry_success"),
		codes: map[int]*telemetry.Cell{},
		time:  w.e.reg.Histogram(prefix+"_time", routeLabels(c)...).Shard(w.id),
	}
	for i := 1; i < len(st.class); i++ {
		st.class[i] = counter("_xx", codeClass(i))
	}
	return st
}

// response counts a status that clients of the route get.
func (st *routeStats) response(status int) {
	if st == nil || status < 100 || status > 599 {
		return
	}
	st.completed.Inc()
	st.class[status/100].Inc()
	c := st.codes[status]
	if c == nil {
		c = st.counter("", telemetry.Label{Name: "envoy_response_code", Value: strconv.Itoa(status)})
		st.codes[status] = c
	}
	c.Inc()
}

func (st *routeStats) took(d time.Duration) {
	if st != nil {
		st.time.Observe(d)
	}
}

// each calls do with what every counted route of c is called.
func eachCounted(c *snapshot.Config, do func(route.Counted)) {
	for _, l := range c.Listeners {
		for _, ch := range l.Chains {
			if ch.HTTP == nil || ch.HTTP.Routes == nil {
				continue
			}
			for _, h := range ch.HTTP.Routes.VirtualHosts {
				for _, r := range h.Routes {
					if r.Entry.Counted != nil {
						do(*r.Entry.Counted)
					}
				}
			}
		}
	}
}

// forgetRoutes drops the metrics of routes that are gone.
func (e *Engine) forgetRoutes(old, now *snapshot.Config) {
	gone := map[route.Counted]bool{}
	eachCounted(old, func(c route.Counted) { gone[c] = true })
	if len(gone) == 0 {
		return
	}
	eachCounted(now, func(c route.Counted) { delete(gone, c) })
	for c := range gone {
		e.reg.Drop(routeLabels(&c)...)
	}
}

// counted are the statistics of the stream's route; nil: it has none.
func (s *stream) counted() *routeStats {
	if s.route == nil || s.route.Counted == nil {
		return nil
	}
	return s.chain.routeStats(s.w, s.route)
}

// charge counts a status that the router gives, an upstream's or its own, for the
// cluster and for the route (Filter::chargeUpstreamCode).
func (s *stream) charge(status int) {
	s.cluster.pool.stats.response(status)
	s.counted().response(status)
}

// judged counts for the endpoint how it has answered for good; what its gRPC status
// says is known when the call is over.
func (s *stream) judged(head *responseHead) {
	r := &s.retry
	if r.policy != nil && r.left < r.policy.Attempts && r.exhausted == "" {
		s.cluster.pool.stats.retrySuccess.Inc()
		if st := s.counted(); st != nil {
			st.retrySuccess.Inc()
		}
	}
	switch {
	case head.Status >= 500:
		s.host.count(rqError)
	case !s.rpc.is:
		s.host.count(rqSuccess)
	}
}

// judgeCall counts for the endpoint how a call of gRPC has ended that it has answered.
func (s *stream) judgeCall() {
	switch {
	case !s.rpc.is || s.resp.Status >= 500:
	case s.rpc.status >= 0 && grpcHTTP(strconv.Itoa(int(s.rpc.status))) < 500:
		s.host.count(rqSuccess)
	default:
		s.host.count(rqError)
	}
}

// timedOut counts a request whose route gives it no more time.
func (s *stream) timedOut() {
	s.cluster.pool.stats.timeout.Inc()
	if st := s.counted(); st != nil {
		st.timeout.Inc()
	}
	s.tracked.late = true
	if s.headSent {
		return
	}
	if s.up != nil {
		s.host.known.TimedOut()
		s.host.count(rqTimeout)
		s.host.count(rqError)
	}
	s.spent()
	s.charge(504)
}
