package localrate

import (
	"math"
	"sync/atomic"
)

// rate is what a bucket holds and how fast it fills.
type rate struct {
	max       float64 // tokens
	perSecond float64 // tokens
}

// bucket is a token bucket that fills all the time. It holds only the time at
// which it was empty, in seconds, so that taking a token is one exchange.
type bucket struct{ empty atomic.Uint64 }

func newBucket(r rate, now float64) *bucket {
	b := new(bucket)
	b.empty.Store(math.Float64bits(now - r.max/r.perSecond))
	return b
}

// take takes a token, if there is one. left is what remains.
func (b *bucket) take(r rate, now float64) (left float64, ok bool) {
	for {
		old := b.empty.Load()
		left = min(r.max, (now-math.Float64frombits(old))*r.perSecond)
		if left < 1 {
			return max(left, 0), false
		}
		left--
		if b.empty.CompareAndSwap(old, math.Float64bits(now-left/r.perSecond)) {
			return left, true
		}
	}
}

// wait is the number of seconds until there is a token where left are.
func (r rate) wait(left float64) int {
	if left >= 1 {
		return 0
	}
	return int(min(math.Ceil((1-left)/r.perSecond), math.MaxInt32))
}
