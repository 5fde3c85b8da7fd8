package endpoint

import (
	"math"
	"time"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// slowStart gives endpoints that have been well for less than a window a part of
// their weight, growing with time (Envoy's EdfLoadBalancerBase).
type slowStart struct {
	conf  *snapshot.SlowStart
	since []time.Duration // of the usable endpoints
	until time.Duration   // when the last has its full weight; 0: all have
}

func newSlowStart(conf *snapshot.SlowStart, usable []int, health Health) slowStart {
	if conf == nil || health == nil {
		return slowStart{}
	}
	s := slowStart{conf: conf, since: make([]time.Duration, len(usable))}
	for k, i := range usable {
		s.since[k] = health.Since(i)
		s.until = max(s.until, s.since[k]+conf.Window)
	}
	return s
}

// factor of the k-th usable endpoint, above 0 and up to 1.
func (s *slowStart) factor(k int, now time.Duration) float64 {
	if s.until == 0 || now-s.since[k] >= s.conf.Window {
		return 1
	}
	part := float64(max(now-s.since[k], time.Millisecond)) / float64(s.conf.Window)
	if s.conf.Aggression != 1 {
		part = math.Pow(part, 1/s.conf.Aggression)
	}
	return min(max(part, s.conf.MinPercent/100), 1)
}
