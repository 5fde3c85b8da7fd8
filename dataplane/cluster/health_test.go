package cluster

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/meshc/meshc/dataplane/snapshot"
	"github.com/meshc/meshc/dataplane/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// asked is a bench whose endpoints answer what the test says.
func askedBench(t *testing.T, n int, answers map[*Host]Outcome) *bench {
	b := newBench(t, n, func(c *snapshot.Cluster) {
		c.Outliers.Consecutive5xx = snapshot.Detector{Threshold: 1, Enforced: 100}
		c.Outliers.UnejectWhenHealthChecked = true
		c.Health = &snapshot.Health{Interval: 5 * time.Second, NoTraffic: 20 * time.Second, Timeout: time.Second, HealthyAfter: 2, UnhealthyAfter: 3, TCP: &snapshot.HealthTCP{}}
	})
	b.deps.Probe = func(_ context.Context, h *Host) Outcome { return answers[h] }
	return b
}

func TestHealthThresholds(t *testing.T) {
	answers := map[*Host]Outcome{}
	b := askedBench(t, 2, answers)
	b.Used()
	a, other := b.list[0], b.list[1]
	answers[a], answers[other] = Good, Silence
	b.expect(t, "before the first answer", "++")
	b.clock.pass(0)
	b.expect(t, "the first answer decides", "+-")
	answers[a] = Silence
	b.clock.pass(10 * time.Second)
	b.expect(t, "after two silences", "+-")
	answers[other] = Good
	b.clock.pass(5 * time.Second)
	b.expect(t, "after the third", "--")
	b.clock.pass(5 * time.Second)
	b.expect(t, "after two good answers", "-+")
	answers[other] = Bad
	b.clock.pass(5 * time.Second)
	b.expect(t, "a bad answer counts at once", "--")
	answers[a] = Good
	b.clock.pass(5 * time.Second)
	answers[a] = Silence
	b.clock.pass(5 * time.Second)
	answers[a] = Good
	b.clock.pass(5 * time.Second)
	b.expect(t, "good answers count in a row", "--")
	b.clock.pass(5 * time.Second)
	b.expect(t, "two of them", "+-")
}

// An endpoint that comes to a cluster that is in use has to answer first.
func TestNewEndpointsAnswerFirst(t *testing.T) {
	answers := map[*Host]Outcome{}
	b := askedBench(t, 1, answers)
	more := *b.snap
	more.Endpoints = append(more.Endpoints[:1:1], snapshot.Endpoint{Addr: netip.MustParseAddrPort("10.9.9.9:80"), Weight: 1, Healthy: true})
	b.Update(&more)
	h := b.Host(more.Endpoints[1].Addr)
	if h.Well() || !h.Pending() {
		t.Error("it is well before it has answered")
	}
	b.clock.pass(0)
	if !h.Well() || h.Pending() {
		t.Error("it is not well after its first answer")
	}
}

// Without a connection ever, the cluster is asked less often.
func TestNoTrafficInterval(t *testing.T) {
	b := askedBench(t, 1, map[*Host]Outcome{})
	attempts := func() int64 {
		return b.reg.Counter("envoy_cluster_health_check_attempt", telemetry.Label{Name: "envoy_cluster_name", Value: "c"}).Value()
	}
	b.clock.pass(59 * time.Second)
	if n := attempts(); n != 3 {
		t.Errorf("%d questions in a minute, want 3", n)
	}
	b.Used()
	b.clock.pass(time.Second)
	before := attempts()
	b.clock.pass(60 * time.Second)
	if n := attempts() - before; n != 12 {
		t.Errorf("%d questions in a minute with traffic, want 12", n)
	}
}

// A good answer brings an endpoint back that was ejected.
func TestHealthUnejects(t *testing.T) {
	b := askedBench(t, 1, map[*Host]Outcome{})
	b.Used()
	b.clock.pass(0)
	b.list[0].Answered(500, 500)
	b.expect(t, "after a failure", "-")
	b.clock.pass(5 * time.Second)
	b.expect(t, "after a good answer", "+")
	if b.ejected != 0 {
		t.Error("it still counts as ejected")
	}
}

// probed runs a State with the network's prober and gives its only endpoint.
func probed(t *testing.T, addr string, h *snapshot.Health) *Host {
	t.Helper()
	h.Interval, h.NoTraffic, h.HealthyAfter, h.UnhealthyAfter = 10*time.Millisecond, 10*time.Millisecond, 1, 1
	if h.Timeout == 0 {
		h.Timeout = 5 * time.Second
	}
	c := &snapshot.Cluster{Name: "c", Health: h, Endpoints: []snapshot.Endpoint{{Addr: netip.MustParseAddrPort("192.0.2.1:1"), Asked: netip.MustParseAddrPort(addr)}}}
	s := New(c, Deps{Clock: wall{time.Now()}, Telemetry: telemetry.New(1)})
	s.Update(c)
	t.Cleanup(func() { s.Close(); s.Wait() })
	return s.Host(c.Endpoints[0].Addr)
}

type wall struct{ base time.Time }

func (w wall) Now() time.Duration { return time.Since(w.base) }
func (w wall) AfterFunc(d time.Duration, f func()) func() {
	t := time.AfterFunc(d, f)
	return func() { t.Stop() }
}

func becomes(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("timed out waiting until", what)
		}
	}
}

func TestHTTPProbe(t *testing.T) {
	var status atomic.Int32
	var asked, conns atomic.Int32
	status.Store(204)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "GET" || r.RequestURI != "/healthz?deep=1" || r.Host != "health.example" {
			t.Errorf("%s %s of %s", r.Method, r.RequestURI, r.Host)
		}
		asked.Add(1)
		w.WriteHeader(int(status.Load()))
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	h := probed(t, server.Listener.Addr().String(), &snapshot.Health{HTTP: &snapshot.HealthHTTP{
		Host: "health.example", Path: "/healthz?deep=1", Statuses: []snapshot.StatusRange{{From: 200, To: 201}, {From: 204, To: 205}},
	}})
	becomes(t, "it is asked five times", func() bool { return asked.Load() >= 5 })
	if !h.Well() || conns.Load() != 1 {
		t.Errorf("well %v, %d connections", h.Well(), conns.Load())
	}
	status.Store(201)
	becomes(t, "it is unwell", func() bool { return !h.Well() })
	status.Store(200)
	becomes(t, "it is well", h.Well)
	server.CloseClientConnections() // says nothing about health
	n := asked.Load()
	becomes(t, "it is asked again", func() bool { return asked.Load() > n+3 })
	if !h.Well() {
		t.Error("a connection that was closed between two questions counts")
	}
}

// Answers that are none, and endless ones, are silence.
func TestHostileAnswers(t *testing.T) {
	for name, serve := range map[string]func(net.Conn){
		"garbage":        func(c net.Conn) { io.WriteString(c, "SSH-2.0-x\r\n\r\n") },
		"nothing":        func(c net.Conn) { io.Copy(io.Discard, c) },
		"closes":         func(net.Conn) {},
		"endless head":   func(c net.Conn) { endless(c, "HTTP/1.1 200 OK\r\n", "a: b\r\n") },
		"endless body":   func(c net.Conn) { endless(c, "HTTP/1.1 200 OK\r\n\r\n", "abcdefgh") },
		"endless 1xx":    func(c net.Conn) { endless(c, "", "HTTP/1.1 103 Early Hints\r\n\r\n") },
		"half an answer": func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := probed(t, accept(t, serve), &snapshot.Health{Timeout: 300 * time.Millisecond, HTTP: &snapshot.HealthHTTP{Path: "/"}})
			becomes(t, "it is unwell", func() bool { return !h.Well() })
		})
	}
}

func endless(c net.Conn, first, then string) {
	io.WriteString(c, first)
	for {
		if _, err := io.WriteString(c, then); err != nil {
			return
		}
	}
}

// accept hands connections to serve until the test ends.
func accept(t *testing.T, serve func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(time.Second))
			serve(c)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

func TestTCPProbe(t *testing.T) {
	echo := accept(t, func(c net.Conn) {
		buf := make([]byte, 5)
		if _, err := io.ReadFull(c, buf); err == nil && string(buf) == "PING\n" {
			io.WriteString(c, "xPO")
			io.WriteString(c, "xNGx")
		}
	})
	good := probed(t, echo, &snapshot.Health{TCP: &snapshot.HealthTCP{Send: []byte("PING\n"), Receive: [][]byte{[]byte("PO"), []byte("NG")}}})
	bad := probed(t, echo, &snapshot.Health{TCP: &snapshot.HealthTCP{Send: []byte("PING\n"), Receive: [][]byte{[]byte("NG"), []byte("PO")}}})
	becomes(t, "the wrong order is unwell", func() bool { return !bad.Well() })
	becomes(t, "an answer has come", func() bool { return !good.pending.Load() })
	if !good.Well() {
		t.Error("a good answer was not taken")
	}
	open := probed(t, echo, &snapshot.Health{TCP: &snapshot.HealthTCP{}})
	becomes(t, "to connect is enough", func() bool { return !open.pending.Load() && open.Well() })
}
