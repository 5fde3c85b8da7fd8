package telemetry

import (
	"sync/atomic"
	"time"
)

// Bounds are the histogram buckets, in milliseconds or in bytes: Envoy's defaults.
var Bounds = [...]float64{0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 600000, 1800000, 3600000}

type histogram struct {
	buckets [len(Bounds) + 1]atomic.Uint64
	sumUS   atomic.Uint64 // µs, or thousandths of a byte
}

func (h *histogram) count() (n uint64) {
	for i := range h.buckets {
		n += h.buckets[i].Load()
	}
	return n
}

// Histogram is a histogram of durations or sizes as seen by everyone.
type Histogram struct{ s *series }

// HistogramShard is one event loop's part of a Histogram; one writer.
type HistogramShard struct{ h *histogram }

// Histogram gives the histogram of this name and labels, made at first use.
func (r *Registry) Histogram(name string, labels ...Label) Histogram {
	key := renderLabels(labels)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.distributed(name, labels, key)
}

// distributed gives a histogram by its labels, which are rendered as key; r.mu is held.
func (r *Registry) distributed(name string, labels []Label, key string) Histogram {
	s := r.lookup(KindHistogram, name, labels, key)
	if s.hist == nil {
		s.hist = make([]*histogram, r.shards)
		for i := range s.hist {
			s.hist[i] = &histogram{}
		}
	}
	return Histogram{s}
}

// Shard is the part of one event loop.
func (h Histogram) Shard(i int) HistogramShard { return HistogramShard{h.s.hist[i]} }

// Observe records one duration.
func (h HistogramShard) Observe(d time.Duration) {
	h.observe(uint64(max(d, 0) / time.Microsecond))
}

// ObserveSize records one size in bytes, or another number.
func (h HistogramShard) ObserveSize(n int64) { h.observe(uint64(max(n, 0)) * 1000) }

// observe takes thousandths of the unit of Bounds.
func (h HistogramShard) observe(us uint64) {
	ms := float64(us) / 1000
	i := 0
	for i < len(Bounds) && ms > Bounds[i] {
		i++
	}
	b := &h.h.buckets[i]
	b.Store(b.Load() + 1)
	h.h.sumUS.Store(h.h.sumUS.Load() + us)
}
