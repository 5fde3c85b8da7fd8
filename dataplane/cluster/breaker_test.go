package cluster

import (
	"testing"

	"github.com/meshc/meshc/dataplane/snapshot"
)

func TestBreakerLimits(t *testing.T) {
	b := NewBreaker(&snapshot.Cluster{MaxConnections: 2})
	for want := range 2 {
		if !b.Connections.Free() || b.Connections.Used() != int64(want) {
			t.Fatalf("%d used, free %v", b.Connections.Used(), b.Connections.Free())
		}
		b.Connections.Take()
	}
	if b.Connections.Free() {
		t.Error("a third fits")
	}
	b.Connections.Release()
	if !b.Connections.Free() {
		t.Error("nothing was given back")
	}
	for range DefaultMaxRetries {
		if !b.TakeRetry() {
			t.Fatal("fewer retries than by default")
		}
	}
	if b.TakeRetry() || !b.Requests.Free() || !b.Pending.Free() {
		t.Error("defaults are not Envoy's")
	}
}

func TestRetryBudget(t *testing.T) {
	b := NewBreaker(&snapshot.Cluster{MaxRetries: 1, RetryBudget: &snapshot.RetryBudget{Percent: 25, Min: 1}})
	count := func() (n int) {
		for b.TakeRetry() {
			n++
		}
		for range n {
			b.ReleaseRetry()
		}
		return n
	}
	for active, want := range []int{1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3} {
		if got := count(); got != want {
			t.Errorf("%d requests: %d retries, want %d", active, got, want)
		}
		if active%2 == 0 {
			b.Requests.Take()
		} else {
			b.Pending.Take()
		}
	}
}
