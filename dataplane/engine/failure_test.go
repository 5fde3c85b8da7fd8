package engine

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/route"
)

// closedPort is an address where nobody listens, nor can until the test ends: a
// socket is bound to it.
func closedPort(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", at.(*unix.SockaddrInet4).Port)
}

// silent reads requests and never answers.
func silent(t *testing.T) string {
	return rawBackend(t, func(c net.Conn) { io.Copy(io.Discard, c) })
}

// hangsUp reads one request head and closes.
func hangsUp(t *testing.T) string {
	return rawBackend(t, func(c net.Conn) { readRequestHead(bufio.NewReader(c)) })
}

func TestLocalReplies(t *testing.T) {
	for name, c := range map[string]struct {
		mesh    func() *mesh
		status  int
		flags   any
		details string
	}{
		"no route": {func() *mesh {
			m := newMesh("127.0.0.1:1")
			m.chain.HTTP.Routes = tableOf(nil)
			return m
		}, 404, "NR", "route_not_found"},
		"no cluster": {func() *mesh {
			m := newMesh()
			delete(m.config.Clusters, clusterName)
			return m
		}, 503, "NC", "cluster_not_found"},
		"no endpoint": {func() *mesh { return newMesh() }, 503, "UH", "no_healthy_upstream"},
		"refused":     {func() *mesh { return newMesh(closedPort(t)) }, 503, "UF", "upstream_reset_before_response_started{remote_connection_failure}"},
		"hangs up":    {func() *mesh { return newMesh(hangsUp(t)) }, 503, "UC", "upstream_reset_before_response_started{connection_termination}"},
		"speaks no HTTP": {func() *mesh {
			return newMesh(rawBackend(t, func(c net.Conn) { io.WriteString(c, "SSH-2.0-x\r\n\r\n"); io.Copy(io.Discard, c) }))
		}, 502, "UPE", "upstream_reset_before_response_started{protocol_error}"},
		"times out": {func() *mesh {
			m := newMesh(silent(t))
			m.entry.Timeout = 50 * time.Millisecond
			return m
		}, 504, "UT", "response_timeout"},
		"idles": {func() *mesh {
			m := newMesh(silent(t))
			m.entry.Idle = 50 * time.Millisecond
			return m
		}, 504, "SI", "stream_idle_timeout"},
		"direct": {func() *mesh {
			m := newMesh()
			m.entry.Direct = route.DirectResponse{Status: 418, Body: "tea"}
			return m
		}, 418, "-", "direct_response"},
	} {
		t.Run(name, func(t *testing.T) {
			m := c.mesh()
			records := withLog(t, m)
			e := start(t, m)
			status, _ := get(t, client(t), "http://"+addrOf(t, e, "in")+"/x")
			if status != c.status {
				t.Errorf("status %d, want %d", status, c.status)
			}
			r := records(e)
			if len(r) != 1 || r[0]["flags"] != c.flags || r[0]["details"] != c.details || r[0]["path"] != "/x" {
				t.Errorf("logged %v, want flags %v details %q", r, c.flags, c.details)
			}
		})
	}
}

func TestConnectTimeout(t *testing.T) {
	m := newMesh("192.0.2.1:9") // TEST-NET-1: nobody answers, or no route exists
	m.cluster().ConnectTimeout = 100 * time.Millisecond
	e := start(t, m)
	began := time.Now()
	if status, _ := get(t, client(t), "http://"+addrOf(t, e, "in")+"/"); status != 503 {
		t.Errorf("status %d", status)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestClientDisconnectCancelsTheUpstream(t *testing.T) {
	gone, began := make(chan struct{}), make(chan struct{})
	app := rawBackend(t, func(c net.Conn) {
		readRequestHead(bufio.NewReader(c))
		close(began)
		io.Copy(io.Discard, c)
		close(gone)
	})
	m := newMesh(app)
	records := withLog(t, m)
	e := start(t, m)
	c := dial(t, addrOf(t, e, "in"))
	send(t, c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-began
	c.Close()
	select {
	case <-gone:
	case <-time.After(time.Minute):
		t.Fatal("upstream was not told")
	}
	eventually(t, "the connection is gone", func() bool { return e.Connections() == 0 })
	if r := records(e); len(r) != 1 || r[0]["flags"] != "DC" || r[0]["code"] != 0.0 {
		t.Errorf("logged %v", r)
	}
}

// A body that the upstream breaks off must not look complete to the client.
func TestBrokenOffBodies(t *testing.T) {
	for name, head := range map[string]string{
		"length":  "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello",
		"chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"in size": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			app := rawBackend(t, func(c net.Conn) {
				readRequestHead(bufio.NewReader(c))
				io.WriteString(c, head)
			})
			e := start(t, newMesh(app))
			resp, err := client(t).Get("http://" + addrOf(t, e, "in") + "/")
			if err != nil {
				return // the reset overtook the head
			}
			b, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err == nil {
				t.Errorf("client took %q as whole", b)
			}
		})
	}
}

// flaky fails the first n requests as told and then answers 200.
func flaky(t *testing.T, n int32, fail http.HandlerFunc) (addr string, hits *atomic.Int32) {
	hits = &atomic.Int32{}
	return backend(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if hits.Add(1) <= n {
			fail(w, r)
			return
		}
		fmt.Fprintf(w, "%s", b)
	}), hits
}

func answer(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) }
}

func hijackClose(w http.ResponseWriter, r *http.Request) {
	c, _, _ := w.(http.Hijacker).Hijack()
	c.Close()
}

func hang(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func TestRetries(t *testing.T) {
	for name, c := range map[string]struct {
		retry  route.Retry
		fails  int32
		fail   http.HandlerFunc
		method string
		body   string
		status int
		hits   int32
	}{
		"5xx on 503":                 {route.Retry{On: route.Retry5xx, Attempts: 2}, 2, answer(503), "GET", "", 200, 3},
		"5xx not on 404":             {route.Retry{On: route.Retry5xx, Attempts: 2}, 2, answer(404), "GET", "", 404, 1},
		"5xx gives up":               {route.Retry{On: route.Retry5xx, Attempts: 2}, 9, answer(503), "GET", "", 503, 3},
		"5xx on reset":               {route.Retry{On: route.Retry5xx, Attempts: 2}, 1, hijackClose, "POST", "x", 200, 2},
		"gateway-error not on 500":   {route.Retry{On: route.RetryGatewayError, Attempts: 2}, 1, answer(500), "GET", "", 500, 1},
		"gateway-error on 504":       {route.Retry{On: route.RetryGatewayError, Attempts: 2}, 1, answer(504), "GET", "", 200, 2},
		"retriable-4xx on 409":       {route.Retry{On: route.RetryRetriable4xx, Attempts: 1}, 1, answer(409), "GET", "", 200, 2},
		"status codes":               {route.Retry{On: route.RetryRetriableStatusCodes, Statuses: []int{429}, Attempts: 1}, 1, answer(429), "GET", "", 200, 2},
		"reset on reset":             {route.Retry{On: route.RetryReset, Attempts: 1}, 1, hijackClose, "POST", "body", 200, 2},
		"reset not on 503":           {route.Retry{On: route.RetryReset, Attempts: 1}, 1, answer(503), "GET", "", 503, 1},
		"connect-failure not on 503": {route.Retry{On: route.RetryConnectFailure, Attempts: 1}, 1, answer(503), "GET", "", 503, 1},
		"before-request not after":   {route.Retry{On: route.RetryResetBeforeRequest, Attempts: 1}, 1, hijackClose, "POST", "x", 503, 1},
		"per try":                    {route.Retry{On: route.Retry5xx, Attempts: 1, PerTry: 2 * time.Second}, 1, hang, "GET", "", 200, 2},
		"per try gives up":           {route.Retry{On: route.Retry5xx, Attempts: 1, PerTry: 50 * time.Millisecond}, 9, hang, "GET", "", 504, 2},
		"a body is sent again":       {route.Retry{On: route.Retry5xx, Attempts: 1}, 1, answer(503), "POST", strings.Repeat("b", 60<<10), 200, 2},
		"a body too long is not":     {route.Retry{On: route.Retry5xx, Attempts: 1}, 1, answer(503), "POST", strings.Repeat("b", 70<<10), 503, 1},
		"methods that do not match": {route.Retry{On: route.Retry5xx, Attempts: 1, RequestMatches: func(m string) bool { return m == "GET" }},
			1, answer(503), "POST", "x", 503, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app, hits := flaky(t, c.fails, c.fail)
			m := newMesh(app)
			c.retry.BackoffBase = time.Millisecond
			m.entry.Retry = &c.retry
			e := start(t, m)
			req, _ := http.NewRequest(c.method, "http://"+addrOf(t, e, "in")+"/", strings.NewReader(c.body))
			resp, err := client(t).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if c.status == 504 { // the last attempt was given up, and may have yet to arrive
				eventually(t, "all attempts are there", func() bool { return hits.Load() >= c.hits })
			}
			if resp.StatusCode != c.status || hits.Load() != c.hits {
				t.Errorf("status %d after %d attempts, want %d after %d", resp.StatusCode, hits.Load(), c.status, c.hits)
			}
			if c.status == 200 && string(b) != c.body {
				t.Errorf("body came back as %d bytes, sent %d", len(b), len(c.body))
			}
		})
	}
}

func TestRetryOnConnectFailureTakesAnotherEndpoint(t *testing.T) {
	app, _ := flaky(t, 0, nil)
	m := newMesh(closedPort(t), app)
	m.entry.Retry = &route.Retry{On: route.RetryConnectFailure, Attempts: 1, BackoffBase: time.Millisecond}
	e := start(t, m, func(o *Options) { o.Workers = 1 })
	for range 20 {
		if status, _ := get(t, client(t), "http://"+addrOf(t, e, "in")+"/"); status != 200 {
			t.Fatalf("status %d", status)
		}
	}
}

func TestOverallTimeoutIncludesRetries(t *testing.T) {
	app, hits := flaky(t, 99, hang)
	m := newMesh(app)
	m.entry.Timeout = 300 * time.Millisecond
	m.entry.Retry = &route.Retry{On: route.Retry5xx, Attempts: 50, PerTry: 100 * time.Millisecond, BackoffBase: time.Millisecond}
	e := start(t, m)
	began := time.Now()
	status, _ := get(t, client(t), "http://"+addrOf(t, e, "in")+"/")
	if took := time.Since(began); status != 504 || took < 290*time.Millisecond || hits.Load() > 4 {
		t.Errorf("status %d after %v and %d attempts", status, took, hits.Load())
	}
}

// An upstream that closes its idle connections as they are used again fails no
// safe request.
func TestStalePooledConnection(t *testing.T) {
	app := rawBackend(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		for range 2 {
			if _, err := readRequestHead(r); err != nil {
				return
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
		readRequestHead(r) // the third is read and dropped
	})
	e := start(t, newMesh(app), func(o *Options) { o.Workers = 1 })
	for i := range 30 {
		if status, body := get(t, client(t), "http://"+addrOf(t, e, "in")+"/"); status != 200 {
			t.Fatalf("request %d: %d %s", i, status, body)
		}
	}
	if metric(t, e, "envoy_cluster_upstream_rq_stale_resent") == 0 {
		t.Error("the case did not occur")
	}
}

func TestCircuitBreakers(t *testing.T) {
	release := make(chan struct{})
	var inside atomic.Int32
	app := backend(t, func(w http.ResponseWriter, r *http.Request) { inside.Add(1); <-release })
	m := newMesh(app)
	cl := m.cluster()
	cl.MaxConnections, cl.MaxPending = 2, 3
	records := withLog(t, m)
	e := start(t, m, func(o *Options) { o.Workers = 1 })
	results := make(chan int, 10)
	for i := range 10 {
		go func() {
			status, _ := get(t, client(t), "http://"+addrOf(t, e, "in")+"/")
			results <- status
		}()
		if i == 1 {
			eventually(t, "two are with the upstream", func() bool { return inside.Load() == 2 })
		}
	}
	for range 5 {
		if s := <-results; s != 503 {
			t.Errorf("status %d, want 503 for what overflows", s)
		}
	}
	close(release)
	for range 5 {
		if s := <-results; s != 200 {
			t.Errorf("status %d, want 200 for what waited", s)
		}
	}
	if n := metric(t, e, "envoy_cluster_upstream_cx_total"); n != 2 {
		t.Errorf("%v connections, want 2", n)
	}
	uo := 0
	for _, r := range records(e) {
		if r["flags"] == "UO" {
			uo++
		}
	}
	if uo != 5 {
		t.Errorf("%d records with UO, want 5", uo)
	}
}

// verdict is a filter that always says the same.
type verdict filter.Verdict

func (v verdict) Name() string                            { return "test" }
func (v verdict) OnRequest(*filter.Stream) filter.Verdict { return filter.Verdict(v) }

func TestFilterVerdicts(t *testing.T) {
	app := backend(t, func(http.ResponseWriter, *http.Request) {})
	m := newMesh(app)
	m.chain.HTTP.Filters = []filter.HTTP{
		verdict{Delay: 60 * time.Millisecond, DelayFlag: "DI"}, verdict{},
		verdict{Delay: 40 * time.Millisecond, Status: 418, Body: "no", Flag: "FI", Details: "fault_filter_abort", Connection: "close"},
	}
	records := withLog(t, m)
	e := start(t, m)
	began := time.Now()
	resp, err := client(t).Get("http://" + addrOf(t, e, "in") + "/")
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if took := time.Since(began); took < 100*time.Millisecond || resp.StatusCode != 418 || string(b) != "no" || !resp.Close {
		t.Errorf("%d %q close=%v after %v", resp.StatusCode, b, resp.Close, took)
	}
	if r := records(e); r[0]["flags"] != "DI,FI" || r[0]["details"] != "fault_filter_abort" {
		t.Errorf("logged %v", r)
	}
}

func TestDelayedRequestOfAClientThatLeft(t *testing.T) {
	m := newMesh(silent(t))
	m.chain.HTTP.Filters = []filter.HTTP{verdict{Delay: time.Hour, DelayFlag: "DI"}}
	e := start(t, m)
	c := dial(t, addrOf(t, e, "in"))
	send(t, c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	eventually(t, "the request is in", func() bool { return metric(t, e, "envoy_http_downstream_rq_active") == 1 })
	c.Close()
	eventually(t, "the connection is closed", func() bool { return e.Connections() == 0 })
}

func TestHeadTimeouts(t *testing.T) {
	t.Parallel()
	m := newMesh(silent(t))
	m.chain.HTTP.RequestHeadersTimeout = 2 * time.Second
	e := start(t, m)
	c := dial(t, addrOf(t, e, "in"))
	send(t, c, "GET / HTTP/1.1\r\nHost:")
	if resp, _ := readResponse(t, bufio.NewReader(c), "GET"); resp.StatusCode != 408 || !resp.Close {
		t.Errorf("half a head: %d", resp.StatusCode)
	}
	c = dial(t, addrOf(t, e, "in"))
	if b, err := io.ReadAll(c); len(b) != 0 || err != nil {
		t.Errorf("no byte at all: %q, %v", b, err)
	}
}

func TestUpgradesAreRefusedAndH2COffersIgnored(t *testing.T) {
	app := backend(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("Upgrade"), r.Header.Get("Connection"), r.Header.Get("Http2-Settings"))
	})
	e := start(t, newMesh(app))
	c := dial(t, addrOf(t, e, "in"))
	r := bufio.NewReader(c)
	send(t, c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n")
	if resp, body := readResponse(t, r, "GET"); resp.StatusCode != 200 || body != "" {
		t.Errorf("h2c: %d %q", resp.StatusCode, body)
	}
	send(t, c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	if resp, body := readResponse(t, r, "GET"); resp.StatusCode != 403 || body != "" || !resp.Close {
		t.Errorf("websocket: %d %q", resp.StatusCode, body)
	}
}
