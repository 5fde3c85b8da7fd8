package engine

import "slices"

// What bounds one attempt, and where the next one goes, as in Envoy's router.

// choose picks the endpoint of an attempt; a retry that avoids those that were
// tried draws again, as often as its policy says. -1: there is none.
func (s *stream) choose() int {
	c, r := s.cluster, &s.retry
	i := c.picker.Pick(s.w.draw, c)
	if i < 0 || r.policy == nil || !r.policy.AvoidTried {
		return i
	}
	for range r.policy.HostDraws {
		if !slices.Contains(r.tried, c.hosts[i]) {
			break
		}
		i = c.picker.Pick(s.w.draw, c)
	}
	r.tried = append(r.tried, c.hosts[i])
	return i
}

// startTry starts the attempt's own clocks: once it has a connection and all of
// the request. They run for every method, whether it would be retried or not.
func (s *stream) startTry() {
	p := s.route.Retry
	if p == nil {
		return
	}
	s.tryFrom = s.w.now
	// A limit that the route's timeout undercuts is none (FilterUtility::finalTimeout).
	if p.PerTry > 0 && (s.route.Timeout == 0 || p.PerTry < s.route.Timeout) {
		s.tryBy = s.w.now + int64(p.PerTry)
	}
	if p.PerTry > 0 || p.PerTryIdle > 0 {
		s.armTimer()
	}
}

// trySilentBy is when the attempt has been silent for too long; 0: never.
func (s *stream) trySilentBy() int64 {
	if s.tryFrom == 0 || s.up == nil || s.route.Retry.PerTryIdle == 0 {
		return 0
	}
	return max(s.tryFrom, s.lastMove) + int64(s.route.Retry.PerTryIdle)
}

// trySilent ends an attempt that is silent for too long. Unlike per_try_timeout
// it does so after the response has begun, too.
func (s *stream) trySilent() {
	s.cluster.pool.stats.perTryIdleTimeout.Inc()
	if s.headSent {
		o := &outcomes[failPerTryIdle]
		s.expire(o.body, o.flag, o.details)
		return
	}
	s.fail(failPerTryIdle)
}
