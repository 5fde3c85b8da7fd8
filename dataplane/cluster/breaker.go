// Package cluster holds what all event loops share about one upstream cluster:
// its circuit breaker, and what is known of its endpoints, which fail requests or
// answer health checks. Connections themselves belong to one event loop each and
// live in package engine.
package cluster

import (
	"sync/atomic"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// Envoy's default thresholds of the default priority.
const (
	DefaultMaxConnections = 1024
	DefaultMaxPending     = 1024
	DefaultMaxRequests    = 1024
	DefaultMaxRetries     = 3
)

// Resource is one limited thing. Like Envoy's it is checked and then taken, so
// event loops that race can go over the limit by one each, never further.
type Resource struct {
	used atomic.Int64
	max  int64
}

// Free reports whether one more fits.
func (r *Resource) Free() bool { return r.used.Load() < r.max }

// Take counts one in.
func (r *Resource) Take() { r.used.Add(1) }

// Release counts one out.
func (r *Resource) Release() { r.used.Add(-1) }

// Used is how many are taken.
func (r *Resource) Used() int64 { return r.used.Load() }

// Breaker is the circuit breaker of one cluster in one configuration of it.
type Breaker struct {
	Connections, Pending, Requests Resource

	retries Resource
	budget  *snapshot.RetryBudget
}

// NewBreaker takes the limits of c; 0 means Envoy's default.
func NewBreaker(c *snapshot.Cluster) *Breaker {
	b := &Breaker{budget: c.RetryBudget}
	b.Connections.max = limit(c.MaxConnections, DefaultMaxConnections)
	b.Pending.max = limit(c.MaxPending, DefaultMaxPending)
	b.Requests.max = limit(c.MaxRequests, DefaultMaxRequests)
	b.retries.max = limit(c.MaxRetries, DefaultMaxRetries)
	return b
}

func limit(n uint32, fallback int64) int64 {
	if n == 0 {
		return fallback
	}
	return int64(n)
}

// TakeRetry counts one more retry at once in, if the limit or the budget allows.
// A budget is a share of the requests that are active or wait, rounded down, and
// never less than its minimum (Envoy's ResourceManagerImpl).
func (b *Breaker) TakeRetry() bool {
	most := b.retries.max
	if b.budget != nil {
		active := b.Requests.Used() + b.Pending.Used()
		most = max(int64(b.budget.Percent/100*float64(active)), int64(b.budget.Min))
	}
	if b.retries.Used() >= most {
		return false
	}
	b.retries.Take()
	return true
}

// ReleaseRetry counts one out.
func (b *Breaker) ReleaseRetry() { b.retries.Release() }
