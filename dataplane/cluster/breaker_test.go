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
		b.Retries.Take()
	}
	if b.Retries.Free() || !b.Requests.Free() || !b.Pending.Free() {
		t.Error("defaults are not Envoy's")
	}
}
