package engine

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// An endpoint that says that it is unwell gets no requests, from any loop, until
// it says otherwise.
func TestHealthChecksSteerRequests(t *testing.T) {
	var ill atomic.Bool
	var requests atomic.Int32
	first := backend(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/healthz":
			requests.Add(1)
		case ill.Load():
			w.WriteHeader(500)
		}
	})
	m := newMesh(first, backend(t, func(http.ResponseWriter, *http.Request) {}))
	m.cluster().Health = &snapshot.Health{
		Interval: 5 * time.Millisecond, NoTraffic: 5 * time.Millisecond, Timeout: 5 * time.Second, HealthyAfter: 1, UnhealthyAfter: 1,
		HTTP: &snapshot.HealthHTTP{Host: "app", Path: "/healthz"},
	}
	e := start(t, m, func(o *Options) { o.Workers = 3 })
	healthy := func(n float64) func() bool {
		return func() bool { return metric(t, e, "envoy_cluster_health_check_healthy") == n }
	}
	ask := func() {
		for range 20 {
			if status, _ := get(t, client(t), "http://"+addrOf(t, e, "in")+"/"); status != 200 {
				t.Error(status)
			}
		}
	}
	ill.Store(true)
	eventually(t, "one is unwell", healthy(1))
	e.everywhere(func(*worker) {}) // all loops have heard of it
	before := requests.Load()
	ask()
	if n := requests.Load() - before; n != 0 {
		t.Errorf("%d requests went to an endpoint that is unwell", n)
	}
	ill.Store(false)
	eventually(t, "both are well", healthy(2))
	e.everywhere(func(*worker) {})
	ask()
	if requests.Load() == before {
		t.Error("an endpoint that is well again got nothing")
	}
}
