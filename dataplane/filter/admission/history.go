package admission

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// granularity is how long requests are counted together, as in Envoy.
const granularity = int64(time.Second)

// history counts the requests of a window that moves a second at a time
// (ThreadLocalControllerImpl). Event loops add to it without a lock, but for one of
// them once a second. A request that is added just while its second leaves the
// window may be counted for a second more, or not at all.
type history struct {
	window int64 // ns
	now    func() int64

	requests, successes atomic.Int64 // in all buckets
	current             atomic.Pointer[bucket]
	oldest              atomic.Int64 // start of the oldest bucket
	rollAt              atomic.Int64 // when something is to be done with the buckets

	mu      sync.Mutex // of what follows
	buckets []bucket   // a ring
	first   int
	n       int
}

type bucket struct {
	start               int64
	requests, successes atomic.Int64
}

func newHistory(window time.Duration, now func() int64) *history {
	h := &history{window: int64(window), now: now, buckets: make([]bucket, int(window/time.Second)+1)}
	h.rollAt.Store(math.MinInt64)
	h.roll(now())
	return h
}

// read gives the requests of the window, those that have succeeded, and how many
// there were each second.
func (h *history) read() (requests, successes, rps int64) {
	now := h.now()
	h.roll(now)
	requests, successes = h.requests.Load(), h.successes.Load()
	return requests, successes, requests / max(1, (now-h.oldest.Load())/int64(time.Second))
}

func (h *history) add(success bool) {
	h.roll(h.now())
	b := h.current.Load()
	b.requests.Add(1)
	h.requests.Add(1)
	if success {
		b.successes.Add(1)
		h.successes.Add(1)
	}
}

// roll lets go what is too old, and begins a bucket where the newest has been one
// for long enough or all are gone. The sums are made anew, so that what was added
// to a bucket that is gone does not stay in them.
func (h *history) roll(now int64) {
	if now < h.rollAt.Load() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if now < h.rollAt.Load() {
		return
	}
	for h.n > 0 && now-h.buckets[h.first].start >= h.window {
		h.first, h.n = (h.first+1)%len(h.buckets), h.n-1
	}
	if h.n == 0 || now-h.at(h.n-1).start >= granularity {
		h.n++
		b := h.at(h.n - 1)
		b.start = now
		b.requests.Store(0)
		b.successes.Store(0)
		h.current.Store(b)
	}
	var requests, successes int64
	for i := range h.n {
		requests += h.at(i).requests.Load()
		successes += h.at(i).successes.Load()
	}
	h.requests.Store(requests)
	h.successes.Store(successes)
	oldest := h.at(0).start
	h.oldest.Store(oldest)
	h.rollAt.Store(min(oldest+h.window, h.at(h.n-1).start+granularity))
}

// at gives the i-th bucket from the oldest.
func (h *history) at(i int) *bucket { return &h.buckets[(h.first+i)%len(h.buckets)] }
