package engine

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meshc/meshc/dataplane/route"
	"github.com/meshc/meshc/dataplane/snapshot"
)

// What one loop sees of an endpoint keeps all loops away from it, and all come
// back when its time is over.
func TestEjectionsHoldOnAllLoops(t *testing.T) {
	t.Parallel()
	var bad, good atomic.Int32
	var ill atomic.Bool
	ill.Store(true)
	m := newMesh(
		backend(t, func(w http.ResponseWriter, _ *http.Request) {
			bad.Add(1)
			if ill.Load() {
				w.WriteHeader(503)
			}
		}),
		backend(t, func(http.ResponseWriter, *http.Request) { good.Add(1) }),
		backend(t, func(http.ResponseWriter, *http.Request) { good.Add(1) }),
	)
	m.cluster().Outliers = &snapshot.Outliers{
		Interval: 20 * time.Millisecond, Ejection: 3 * time.Second, MaxEjection: 3 * time.Second, MaxPercent: 50,
		Consecutive5xx: snapshot.Detector{Threshold: 3, Enforced: 100},
	}
	e := start(t, m, func(o *Options) { o.Workers = 3 })
	ask := func() int {
		c := client(t) // another connection, so that every loop gets some
		status, _ := get(t, c, "http://"+addrOf(t, e, "in")+"/")
		return status
	}
	eventually(t, "the endpoint is out", func() bool {
		ask()
		return metric(t, e, "envoy_cluster_outlier_detection_ejections_active") == 1
	})
	ill.Store(false)
	seen := bad.Load()
	for range 30 {
		if status := ask(); status != 200 {
			t.Errorf("status %d", status)
		}
		if metric(t, e, "envoy_cluster_outlier_detection_ejections_active") == 1 && bad.Load() > seen+1 {
			t.Errorf("an endpoint that is out was asked")
		}
	}
	eventually(t, "it is back", func() bool { ask(); return bad.Load() > seen+3 })
	if n := metric(t, e, "envoy_cluster_outlier_detection_ejections_enforced_consecutive_5xx"); n != 1 {
		t.Errorf("%v ejections, want 1", n)
	}
}

// What a limit turns away says nothing about endpoints.
func TestOverflowEjectsNobody(t *testing.T) {
	release := make(chan struct{})
	m := newMesh(backend(t, func(http.ResponseWriter, *http.Request) { <-release }))
	m.cluster().MaxRequests = 1
	m.cluster().Outliers = &snapshot.Outliers{Interval: time.Hour, Ejection: time.Hour, MaxEjection: time.Hour, MaxPercent: 100, Consecutive5xx: snapshot.Detector{Threshold: 1, Enforced: 100}}
	e := start(t, m)
	first := make(chan int)
	go func() {
		status, _ := get(t, client(t), "http://"+addrOf(t, e, "in")+"/")
		first <- status
	}()
	eventually(t, "one is under way", func() bool { return metric(t, e, "envoy_cluster_upstream_rq_active") == 1 })
	for range 5 {
		if status, _ := get(t, client(t), "http://"+addrOf(t, e, "in")+"/"); status != 503 {
			t.Error(status)
		}
	}
	close(release)
	if status := <-first; status != 200 {
		t.Error(status)
	}
	if n := metric(t, e, "envoy_cluster_outlier_detection_ejections_active"); n != 0 {
		t.Errorf("%v ejected", n)
	}
}

// A client without the cookie gets one, and stays where it has been.
func TestHashCookie(t *testing.T) {
	var endpoints []string
	for range 5 {
		var at string
		at = backend(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("x-at", at) })
		endpoints = append(endpoints, at)
	}
	m := newMesh(endpoints...)
	m.cluster().LB = snapshot.RingHash
	m.entry.Hash = []route.HashKey{{From: route.HashCookieValue, Name: "sid", Cookie: &route.HashCookie{TTL: time.Minute, Path: "/p", Attributes: []string{"SameSite=Lax"}}}}
	e := start(t, m)
	seen := map[string]bool{}
	for range 40 {
		resp, err := client(t).Get("http://" + addrOf(t, e, "in") + "/")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		at := resp.Header.Get("x-at")
		seen[at] = true
		set := resp.Header.Get("Set-Cookie")
		cookies := resp.Cookies()
		if len(cookies) != 1 || cookies[0].Name != "sid" || len(cookies[0].Value) != 16 || cookies[0].MaxAge != 60 || cookies[0].Path != "/p" || !cookies[0].HttpOnly {
			t.Fatalf("Set-Cookie: %q", set)
		}
		for range 3 {
			req, _ := http.NewRequest("GET", "http://"+addrOf(t, e, "in")+"/", nil)
			req.AddCookie(&http.Cookie{Name: "sid", Value: cookies[0].Value})
			again, err := client(t).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			again.Body.Close()
			if again.Header.Get("x-at") != at || again.Header.Get("Set-Cookie") != "" {
				t.Errorf("went to %s, was at %s; Set-Cookie %q", again.Header.Get("x-at"), at, again.Header.Get("Set-Cookie"))
			}
		}
	}
	if len(seen) < 3 {
		t.Errorf("40 clients went to %d of 5 endpoints", len(seen))
	}
}
