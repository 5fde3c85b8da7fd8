package cluster

import (
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// Outlier detection as Envoy's (outlier_detection_impl.cc): what event loops see
// of an endpoint is counted in atomics; a threshold that is reached, and the look
// at all of them every interval, take the lock.

// kind of a run of failures.
type kind int

const (
	consecutive5xx kind = iota
	consecutiveGateway
	consecutiveLocal
	kinds
)

// Rates are judged apart for answers of servers and for failures to reach them.
const (
	external = iota
	local
)

// rate counts what came in the current interval.
type rate struct{ total, good atomic.Uint64 }

// Answered takes in the status of a response, and what that means where statuses
// from 500 on are failures: another one for gRPC. Where others are, a failure
// keeps a status from 500 on, as in Envoy.
func (h *Host) Answered(status, means int) {
	if h == nil || h.state.outliers == nil {
		return
	}
	if failures := h.state.outliers.Failures; failures != nil {
		if !slices.ContainsFunc(failures, func(r snapshot.StatusRange) bool { return r.From <= status && status < r.To }) {
			means = 200
		} else if means < 500 {
			means = 500
		}
	}
	h.put(means)
}

// Connected takes in that a connection could be had.
func (h *Host) Connected() {
	if h == nil || h.state.outliers == nil || !h.state.outliers.SplitLocal {
		return
	}
	h.answers[local].total.Add(1)
	h.answers[local].good.Add(1)
	h.consecutive[consecutiveLocal].Store(0)
}

// Failed takes in that a request came to nothing: no connection, or its end.
func (h *Host) Failed() { h.failed(503) }

// TimedOut takes in that no answer came in time.
func (h *Host) TimedOut() { h.failed(504) }

func (h *Host) failed(like int) {
	switch {
	case h == nil || h.state.outliers == nil:
	case h.state.outliers.SplitLocal:
		h.answers[local].total.Add(1)
		h.count(consecutiveLocal, h.state.outliers.ConsecutiveLocal)
	default:
		h.put(like)
	}
}

func (h *Host) put(status int) {
	o := h.state.outliers
	h.answers[external].total.Add(1)
	if status < 500 {
		h.answers[external].good.Add(1)
		// Only what changes is written: hosts that are well share a cache line.
		h.clear(consecutive5xx)
		h.clear(consecutiveGateway)
		return
	}
	if status >= 502 && status <= 504 {
		h.count(consecutiveGateway, o.ConsecutiveGateway)
	} else {
		h.clear(consecutiveGateway)
	}
	h.count(consecutive5xx, o.Consecutive5xx)
}

func (h *Host) clear(k kind) {
	if h.consecutive[k].Load() != 0 {
		h.consecutive[k].Store(0)
	}
}

func (h *Host) count(k kind, d snapshot.Detector) {
	if h.consecutive[k].Add(1) == d.Threshold {
		h.state.tooMany(h, k, d)
	}
}

// tooMany failures of one kind in a row.
func (s *State) tooMany(h *Host, k kind, d snapshot.Detector) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.hosts[h.addr] != h || h.ejected.Load() {
		return
	}
	if s.eject(h, &s.stats.consecutive[k], d.Enforced) {
		s.changed()
	}
	h.consecutive[k].Store(0)
}

// eject leaves h out if as many as that may be. s.mu is held.
func (s *State) eject(h *Host, count *detection, enforced uint32) bool {
	o := s.outliers
	count.detected.Inc()
	allowed := 100*float64(s.ejected+1)/float64(len(s.hosts)) <= float64(min(o.MaxPercent, 100))
	if !allowed && !(o.AlwaysOne && s.ejected == 0) {
		s.stats.overflow.Inc()
		return false
	}
	if draw(100) >= int64(enforced) {
		return false
	}
	s.countEjected(1)
	s.stats.enforced.Inc()
	count.enforced.Inc()
	h.ejected.Store(true)
	h.ejections++
	h.ejectedAt = s.deps.Clock.Now()
	h.jitter = time.Duration(draw(int64(o.Jitter) + 1))
	if time.Duration(h.backoff)*o.Ejection < o.MaxEjection+o.Ejection {
		h.backoff++
	}
	return true
}

func (s *State) countEjected(n int) {
	s.ejected += n
	s.stats.active.Set(int64(s.ejected))
}

// uneject lets h come back. s.mu is held.
func (s *State) uneject(h *Host) {
	s.countEjected(-1)
	h.ejected.Store(false)
	for k := range h.consecutive {
		h.consecutive[k].Store(0)
	}
	h.unejected, h.unejectedAt = true, s.deps.Clock.Now()
}

// look is done every interval: who may come back, and whose rates are bad.
func (s *State) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	o, now, any := s.outliers, s.deps.Clock.Now(), false
	rates := [2][]judged{}
	for _, h := range s.hosts {
		if h.ejected.Load() && min(o.Ejection*time.Duration(h.backoff), o.MaxEjection)+h.jitter <= now-h.ejectedAt {
			s.uneject(h)
			any = true
		}
		for origin := range h.answers {
			total, good := h.answers[origin].total.Swap(0), h.answers[origin].good.Swap(0)
			if total > 0 && !h.ejected.Load() {
				rates[origin] = append(rates[origin], judged{h, 100 * float64(min(good, total)) / float64(total), total})
			}
		}
	}
	for origin, list := range rates {
		any = s.judge(list, origin) || any
	}
	for _, h := range s.hosts {
		if !h.ejected.Load() && h.unejected && now-h.unejectedAt >= o.Interval && h.backoff > 0 {
			h.backoff--
		}
	}
	if any {
		s.changed()
	}
	s.stop = s.deps.Clock.AfterFunc(o.Interval, s.look)
}

// judged is the interval of one endpoint.
type judged struct {
	h       *Host
	success float64 // percent
	total   uint64
}

// judge ejects by success rate and by failure percentage. s.mu is held.
func (s *State) judge(list []judged, origin int) (any bool) {
	success, failure := s.outliers.SuccessRate, s.outliers.FailurePercent
	if enough := enoughOf(list, success); len(enough) > 0 {
		least := leastRate(enough, float64(success.Factor)/1000)
		for _, j := range enough {
			if j.success < least && !j.h.ejected.Load() {
				any = s.eject(j.h, &s.stats.successRate[origin], enforcedOf(success, origin)) || any
			}
		}
	}
	for _, j := range enoughOf(list, failure) {
		if 100-j.success >= float64(failure.Factor) && !j.h.ejected.Load() {
			any = s.eject(j.h, &s.stats.failurePercent[origin], enforcedOf(failure, origin)) || any
		}
	}
	return any
}

// enoughOf are the endpoints with enough requests; none when those are too few.
func enoughOf(list []judged, r snapshot.Rate) (out []judged) {
	for _, j := range list {
		if j.total >= uint64(r.MinRequests) {
			out = append(out, j)
		}
	}
	if len(out) < int(r.MinHosts) {
		return nil
	}
	return out
}

func enforcedOf(r snapshot.Rate, origin int) uint32 {
	if origin == local {
		return r.EnforcedLocal
	}
	return r.Enforced
}

// leastRate is mean − factor × standard deviation.
func leastRate(list []judged, factor float64) float64 {
	sum, squares := 0.0, 0.0
	for _, j := range list {
		sum += j.success
	}
	mean := sum / float64(len(list))
	for _, j := range list {
		squares += (j.success - mean) * (j.success - mean)
	}
	return mean - factor*math.Sqrt(squares/float64(len(list)))
}
