package engine

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meshc/meshc/dataplane/route"
)

// A retry goes to the endpoints that were not tried, as long as draws find one.
func TestRetriesAvoidWhatWasTried(t *testing.T) {
	var hits [4]atomic.Int32
	var endpoints []string
	for i := range hits {
		endpoints = append(endpoints, backend(t, func(w http.ResponseWriter, _ *http.Request) { hits[i].Add(1); w.WriteHeader(503) }))
	}
	m := newMesh(endpoints...)
	m.cluster().LB = 2 // random, so that draws repeat
	m.entry.Retry = &route.Retry{On: route.Retry5xx, Attempts: 3, BackoffBase: time.Microsecond, AvoidTried: true, HostDraws: 200}
	e := start(t, m)
	const n = 25
	for range n {
		if status, _ := get(t, client(t), "http://"+addrOf(t, e, "in")+"/"); status != 503 {
			t.Fatal(status)
		}
	}
	for i := range hits {
		if got := hits[i].Load(); got != n {
			t.Errorf("endpoint %d got %d tries of %d requests with 4 tries each", i, got, n)
		}
	}
}

// Where all endpoints were tried, a retry goes to one that was not the last to fail:
// among two, it is not the same one again and again while the other is back.
func TestRetriesComeBackToWhatWasTried(t *testing.T) {
	unwell := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }
	for _, first := range []int{0, 1} {
		back, _ := flaky(t, 1, unwell)
		endpoints := []string{back, backend(t, unwell)}
		m := newMesh(endpoints[first], endpoints[1-first])
		m.entry.Retry = &route.Retry{On: route.Retry5xx, Attempts: 3, BackoffBase: time.Microsecond, AvoidTried: true, HostDraws: 5}
		if status, _ := get(t, client(t), "http://"+addrOf(t, start(t, m), "in")+"/"); status != 200 {
			t.Errorf("status %d, with the endpoint that is back in place %d", status, first)
		}
	}
}

func TestServersSayWhenToComeBack(t *testing.T) {
	for name, c := range map[string]struct {
		header  string
		unix    bool
		max     time.Duration
		limited float64
	}{
		"heeded":       {"1", false, 5 * time.Second, 1},
		"as unix time": {"unix", true, time.Minute, 1},
		"too long":     {"7", false, 5 * time.Second, 0},
		"not a number": {"soon", false, 5 * time.Second, 0},
		"the past":     {"1", true, 5 * time.Second, 0},
		"zero":         {"0", false, 5 * time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app, _ := flaky(t, 1, func(w http.ResponseWriter, _ *http.Request) {
				value := c.header
				if value == "unix" {
					value = strconv.FormatInt(time.Now().Unix()+4, 10)
				}
				w.Header().Set("X-Reset", value)
				w.WriteHeader(503)
			})
			m := newMesh(app)
			m.entry.Retry = &route.Retry{
				On: route.Retry5xx, Attempts: 1, BackoffBase: time.Millisecond,
				Resets: []route.ResetHeader{{Name: "x-none"}, {Name: "x-reset", Unix: c.unix}}, ResetMax: c.max,
			}
			e := start(t, m)
			began := time.Now()
			if status, _ := get(t, client(t), "http://"+addrOf(t, e, "in")+"/"); status != 200 {
				t.Fatal(status)
			}
			if took := time.Since(began); c.limited == 1 && took < 900*time.Millisecond {
				t.Errorf("took %v", took)
			}
			if got := metric(t, e, "envoy_cluster_upstream_rq_retry_backoff_ratelimited"); got != c.limited {
				t.Errorf("%v pauses, want %v", got, c.limited)
			}
		})
	}
}

// The silence of one attempt ends it, before the response and inside it.
func TestPerTryIdle(t *testing.T) {
	silence := func(say string) string {
		return rawBackend(t, func(c net.Conn) {
			readRequestHead(bufio.NewReader(c))
			io.WriteString(c, say)
			io.Copy(io.Discard, c)
		})
	}
	for name, c := range map[string]struct {
		say, details string
		status       float64
		idle         time.Duration
	}{
		"before the response": {"", "upstream_per_try_idle_timeout", 504, 60 * time.Millisecond},
		"inside it":           {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "upstream_per_try_idle_timeout", 200, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMesh(silence(c.say))
			// It holds for methods that are not retried as well.
			m.entry.Retry = &route.Retry{On: route.RetryConnectFailure, Attempts: 1, PerTryIdle: c.idle, RequestMatches: func(string) bool { return false }}
			records := withLog(t, m)
			e := start(t, m)
			resp, err := client(t).Get("http://" + addrOf(t, e, "in") + "/")
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if r := records(e); len(r) != 1 || r[0]["code"] != c.status || r[0]["flags"] != "UT" || r[0]["details"] != c.details {
				t.Errorf("%v", r)
			}
		})
	}
}

// What trickles is not silent.
func TestPerTryIdleIsNotATimeout(t *testing.T) {
	t.Parallel()
	app := backend(t, func(w http.ResponseWriter, r *http.Request) {
		for range 8 {
			io.WriteString(w, "x")
			w.(http.Flusher).Flush()
			select {
			case <-time.After(500 * time.Millisecond):
			case <-r.Context().Done():
			}
		}
	})
	m := newMesh(app)
	m.entry.Retry = &route.Retry{PerTryIdle: 3 * time.Second}
	e := start(t, m)
	if status, body := get(t, client(t), "http://"+addrOf(t, e, "in")+"/"); status != 200 || body != strings.Repeat("x", 8) {
		t.Error(status, body)
	}
}
