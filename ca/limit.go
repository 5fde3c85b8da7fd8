package ca

import (
	"sync"
	"time"
)

// Rate limits how often one identity may ask for certificates. Replicas of a
// service share an identity, so the default leaves room for a restart of many.
type Rate struct {
	PerSecond float64 // refill; 0 = 10
	Burst     int     // 0 = 100
}

func (r *Rate) fillDefaults() {
	if r.PerSecond == 0 {
		r.PerSecond = 10
	}
	if r.Burst == 0 {
		r.Burst = 100
	}
}

// times is for an address, behind which there may be several identities.
func (r Rate) times(n int) Rate {
	return Rate{PerSecond: r.PerSecond * float64(n), Burst: r.Burst * n}
}

// maxIdentities bounds the limiter's memory.
const maxIdentities = 10_000

// limiter is a token bucket per identity.
type limiter struct {
	rate Rate
	now  func() time.Time

	mu      sync.Mutex
	buckets map[string]*bucket
}

type bucket struct {
	level float64
	at    time.Time
}

func newLimiter(r Rate, now func() time.Time) *limiter {
	return &limiter{rate: r, now: now, buckets: map[string]*bucket{}}
}

// allow takes one request out of key's bucket and says whether it had one.
func (l *limiter) allow(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	b := l.buckets[key]
	if b == nil {
		if len(l.buckets) >= maxIdentities && !l.dropFull(now) {
			return false
		}
		b = &bucket{level: float64(l.rate.Burst), at: now}
		l.buckets[key] = b
	}
	b.level, b.at = l.level(b, now), now
	if b.level < 1 {
		return false
	}
	b.level--
	return true
}

func (l *limiter) level(b *bucket, now time.Time) float64 {
	elapsed := max(0, now.Sub(b.at).Seconds())
	return min(float64(l.rate.Burst), b.level+elapsed*l.rate.PerSecond)
}

// dropFull forgets buckets that are full again, which changes no answer.
func (l *limiter) dropFull(now time.Time) bool {
	for key, b := range l.buckets {
		if l.level(b, now) >= float64(l.rate.Burst) {
			delete(l.buckets, key)
		}
	}
	return len(l.buckets) < maxIdentities
}
