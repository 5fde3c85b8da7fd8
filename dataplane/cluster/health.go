package cluster

import (
	"context"

	"github.com/meshc/meshc/dataplane/telemetry"
)

// Active health checks: once per process, not per event loop. The rules are those
// of Envoy's health checkers (health_checker_base_impl.cc).

// Outcome is how an endpoint has answered.
type Outcome uint8

// Outcomes.
const (
	Good    Outcome = iota
	Bad             // an answer that says no: it counts at once
	Silence         // no connection, or no answer in time
)

// startAsking has h asked from now on, at once for the first time. Endpoints that
// the cluster begins with are well until they have answered, because a cluster is
// in use as soon as it is there; those that come later have to answer first. s.mu
// is held.
func (s *State) startAsking(h *Host) {
	if s.health == nil || s.closed {
		return
	}
	h.pending.Store(true)
	h.unwell.Store(s.started)
	h.good, h.bad = 0, 0
	h.prober.ctx, h.prober.cancel = context.WithCancel(context.Background())
	h.stopAsk = s.deps.Clock.AfterFunc(0, func() { s.ask(h) })
}

// stopAsking ends it. s.mu is held.
func (s *State) stopAsking(h *Host) {
	if h.stopAsk != nil {
		h.stopAsk()
		h.prober.cancel()
		h.stopAsk = nil
	}
}

// ask h once, and settle what it means.
func (s *State) ask(h *Host) {
	s.mu.Lock()
	if s.closed || s.hosts[h.addr] != h || h.stopAsk == nil {
		s.mu.Unlock()
		return
	}
	s.probes.Add(1)
	probe := h.prober
	s.mu.Unlock()
	defer s.probes.Done()
	s.asking.attempt.Inc()
	var o Outcome
	if s.deps.Probe != nil {
		o = s.deps.Probe(probe.ctx, h)
	} else {
		ctx, cancel := context.WithTimeout(probe.ctx, s.health.Timeout)
		o = probe.ask(ctx, s)
		cancel()
	}
	s.settle(h, o, probe)
}

// settle takes in an answer and asks again when it is time.
func (s *State) settle(h *Host, o Outcome, used prober) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.hosts[h.addr] != h || used.ctx.Err() != nil {
		used.drop()
		return
	}
	h.prober = used
	s.asking.count(o)
	was := h.Well()
	s.answered(h, o)
	h.pending.Store(false)
	if o == Good && h.ejected.Load() && !h.unwell.Load() && s.outliers.UnejectWhenHealthChecked {
		s.uneject(h)
	}
	if h.Well() != was {
		s.countHealthy()
		s.changed()
	}
	wait := s.health.NoTraffic
	if s.used.Load() {
		wait = s.health.Interval
	}
	h.stopAsk = s.deps.Clock.AfterFunc(wait, func() { s.ask(h) })
}

// answered counts answers in a row; the first of all decides by itself. s.mu is
// held.
func (s *State) answered(h *Host, o Outcome) {
	first := h.pending.Load()
	switch {
	case o == Good:
		h.bad = 0
		if h.good++; h.unwell.Load() && (first || h.good >= s.health.HealthyAfter) {
			h.unwell.Store(false)
			h.since = s.deps.Clock.Now()
		}
	default:
		h.good = 0
		if h.bad++; first || o == Bad || h.bad >= s.health.UnhealthyAfter {
			h.unwell.Store(true)
		}
	}
	if o == Good && !h.unwell.Load() {
		h.good = 0
	}
}

// Used notes that the cluster has had a connection: it is asked as often as one
// with traffic from then on.
func (s *State) Used() {
	if s.health != nil && !s.used.Load() {
		s.used.Store(true)
	}
}

func (s *State) countHealthy() {
	if s.health == nil {
		return
	}
	n := int64(0)
	for _, h := range s.hosts {
		if !h.unwell.Load() {
			n++
		}
	}
	s.asking.healthy.Set(n)
}

// healthStats are Envoy's cluster.<name>.health_check.* statistics.
type healthStats struct {
	attempt, success, failure, network, healthy telemetry.Metric
}

func newHealthStats(reg *telemetry.Registry, cluster string) *healthStats {
	label := telemetry.Label{Name: "envoy_cluster_name", Value: cluster}
	const prefix = "envoy_cluster_health_check_"
	return &healthStats{
		attempt: reg.Counter(prefix+"attempt", label), success: reg.Counter(prefix+"success", label),
		failure: reg.Counter(prefix+"failure", label), network: reg.Counter(prefix+"network_failure", label),
		healthy: reg.Gauge(prefix+"healthy", label),
	}
}

func (s *healthStats) count(o Outcome) {
	switch o {
	case Good:
		s.success.Inc()
		return
	case Silence:
		s.network.Inc()
	}
	s.failure.Inc()
}

// maxAnswer bounds what is read of one answer, in bytes.
const maxAnswer = 64 << 10
