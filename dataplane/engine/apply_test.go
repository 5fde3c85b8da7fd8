package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meshc/meshc/dataplane/route"
	"github.com/meshc/meshc/dataplane/snapshot"
	"github.com/meshc/meshc/test/loopback"
)

// Everything about the configuration changes every 20 ms; no request may fail,
// and each must be answered by the version that its response header names.
func TestSwapsUnderLoad(t *testing.T) {
	var addrs []string
	for i := range 3 {
		addrs = append(addrs, backend(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, i, r.Header.Get("X-Version")) }))
	}
	base := newMesh(addrs[0])
	version := func(n int) *snapshot.Config {
		i := n % 3
		name := fmt.Sprintf("outbound|80|v%d|app", i)
		entry := &route.Entry{Name: "all", Total: 1, Timeout: 10 * time.Second, Clusters: []route.WeightedCluster{{Name: name, Weight: 1}}}
		entry.Request.Mutate = []route.HeaderMutation{{Name: "x-version", Value: fmt.Sprint("-", i), Action: route.OverwriteIfExistsOrAdd}}
		entry.Response.Mutate = []route.HeaderMutation{{Name: "x-want", Value: fmt.Sprint(i, "-", i)}}
		ch := *base.chain
		h := *base.chain.HTTP
		h.Routes, ch.HTTP = tableOf(entry), &h
		l := *base.config.Listeners["in"]
		l.Chains = []*snapshot.Chain{&ch}
		return &snapshot.Config{
			Digest: fmt.Sprint(n), Listeners: map[string]*snapshot.Listener{"in": &l},
			Clusters: map[string]*snapshot.Cluster{name: {Name: name, Digest: fmt.Sprint(n % 6), Endpoints: endpointsOf(addrs[i])}},
		}
	}
	base.config = version(0)
	e := start(t, base)
	var served, stop atomic.Int64
	var load sync.WaitGroup
	c := client(t)
	for range 8 {
		load.Go(func() {
			for stop.Load() == 0 {
				resp, err := c.Get("http://" + addrOf(t, e, "in") + "/")
				if err != nil {
					t.Error(err)
					return
				}
				b, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != 200 || string(b) != resp.Header.Get("X-Want") {
					t.Errorf("status %d, body %q, want %q, %v", resp.StatusCode, b, resp.Header.Get("X-Want"), err)
					return
				}
				served.Add(1)
			}
		})
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	swaps := 0
	for ; swaps < 150 || served.Load() < 500 && !t.Failed(); swaps++ {
		<-tick.C
		if err := e.Apply(version(swaps + 1)); err != nil {
			t.Fatal(err)
		}
	}
	stop.Store(1)
	load.Wait()
	t.Logf("%d requests over %d swaps", served.Load(), swaps)
}

// A request in flight ends on the configuration it began with.
func TestRequestKeepsItsConfiguration(t *testing.T) {
	release, inside := make(chan struct{}), make(chan struct{})
	app := backend(t, func(w http.ResponseWriter, r *http.Request) { close(inside); <-release; fmt.Fprint(w, "old") })
	m := newMesh(app)
	m.entry.Response.Mutate = []route.HeaderMutation{{Name: "x-config", Value: "old"}}
	e := start(t, m)
	c := dial(t, addrOf(t, e, "in"))
	send(t, c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-inside
	if err := e.Apply(&snapshot.Config{}); err != nil {
		t.Fatal(err)
	}
	close(release)
	resp, body := readResponse(t, bufio.NewReader(c), "GET")
	if resp.Header.Get("X-Config") != "old" || body != "old" || !resp.Close {
		t.Errorf("%v %q close=%v", resp.Header, body, resp.Close)
	}
	eventually(t, "the drained connection closes", func() bool { return e.Connections() == 0 })
}

func TestApplyBindsAllOrNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	app := backend(t, func(http.ResponseWriter, *http.Request) {})
	m := newMesh(app)
	e := start(t, m)
	fds := openFiles(t)
	next := *m.config
	next.Listeners = maps.Clone(m.config.Listeners)
	for name, addr := range map[string]string{"free": "127.0.0.1:0", "taken": taken.Addr().String()} {
		next.Listeners[name] = &snapshot.Listener{Name: name, Addr: netip.MustParseAddrPort(addr), Chains: []*snapshot.Chain{m.chain}}
	}
	err = e.Apply(&next)
	if err == nil || !strings.Contains(err.Error(), `listener "taken"`) || !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("error %v", err)
	}
	if e.Config() != m.config {
		t.Error("the old configuration is not in force")
	}
	if n := openFiles(t); n != fds {
		t.Errorf("%d descriptors, had %d", n, fds)
	}
	if status, _ := get(t, client(t), "http://"+addrOf(t, e, "in")+"/"); status != 200 {
		t.Errorf("status %d", status)
	}
}

func TestApplyRefuses(t *testing.T) {
	addr := netip.MustParseAddrPort("127.0.0.1:0")
	m := newMesh()
	log := *m.chain
	logHTTP := *m.chain.HTTP
	logHTTP.AccessLogs = []snapshot.AccessLog{{Path: "/dev/stdout", TextFormat: "%NONSENSE%"}}
	log.HTTP = &logHTTP
	same := netip.MustParseAddrPort("127.0.0.1:1")
	for name, ls := range map[string]map[string]*snapshot.Listener{
		"no chain":    {"x": {Name: "x", Addr: addr}},
		"no routes":   {"x": {Name: "x", Addr: addr, Chains: []*snapshot.Chain{{HTTP: &snapshot.HTTP{}}}}},
		"no address":  {"x": {Name: "x", Chains: []*snapshot.Chain{m.chain}}},
		"wrong name":  {"x": {Name: "y", Addr: addr, Chains: []*snapshot.Chain{m.chain}}},
		"bad format":  {"x": {Name: "x", Addr: addr, Chains: []*snapshot.Chain{&log}}},
		"one address": {"x": {Name: "x", Addr: same, Chains: []*snapshot.Chain{m.chain}}, "y": {Name: "y", Addr: same, Chains: []*snapshot.Chain{m.chain}}},
	} {
		e, err := New(Options{Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Apply(&snapshot.Config{Listeners: ls}); err == nil || !strings.Contains(err.Error(), "listener \"") {
			t.Errorf("%s: error %v", name, err)
		}
		e.Close()
	}
}

// A listener that gets another name keeps its socket and so its queue.
func TestListenerRenamedAtTheSameAddress(t *testing.T) {
	app := backend(t, func(http.ResponseWriter, *http.Request) {})
	m := newMesh(app)
	addr := netip.MustParseAddrPort(loopback.Address(t))
	m.config.Listeners["in"].Addr = addr
	e := start(t, m)
	l := *m.config.Listeners["in"]
	l.Name = "renamed"
	next := *m.config
	next.Listeners = map[string]*snapshot.Listener{"renamed": &l}
	if err := e.Apply(&next); err != nil {
		t.Fatal(err)
	}
	if status, _ := get(t, client(t), "http://"+addr.String()+"/"); status != 200 {
		t.Errorf("status %d", status)
	}
}

// Pools of clusters that did not change are kept; those of endpoints that went
// are not.
func TestPoolsAcrossSwaps(t *testing.T) {
	a := backend(t, func(http.ResponseWriter, *http.Request) {})
	m := newMesh(a)
	e := start(t, m, func(o *Options) { o.Workers = 1 })
	url := "http://" + addrOf(t, e, "in") + "/"
	c := client(t)
	get(t, c, url)
	next := *m.config
	cl := *m.cluster()
	next.Clusters = map[string]*snapshot.Cluster{clusterName: &cl}
	if err := e.Apply(&next); err != nil {
		t.Fatal(err)
	}
	get(t, c, url)
	if n := metric(t, e, "envoy_cluster_upstream_cx_total"); n != 1 {
		t.Errorf("%v connections after a swap that changed nothing, want 1", n)
	}
	gone := next
	moved := cl
	moved.Endpoints = endpointsOf(backend(t, func(http.ResponseWriter, *http.Request) {}))
	gone.Clusters = map[string]*snapshot.Cluster{clusterName: &moved}
	if err := e.Apply(&gone); err != nil {
		t.Fatal(err)
	}
	if n := metric(t, e, "envoy_cluster_upstream_cx_active"); n != 0 {
		t.Errorf("%v idle connections to an endpoint that is gone", n)
	}
	get(t, c, url)
}

func TestDrain(t *testing.T) {
	release, inside := make(chan struct{}), make(chan struct{}, 1)
	app := backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			inside <- struct{}{}
			<-release
		}
	})
	e := start(t, newMesh(app))
	addr := addrOf(t, e, "in")
	idle, busy := dial(t, addr), dial(t, addr)
	send(t, idle, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	readResponse(t, bufio.NewReader(idle), "GET")
	send(t, busy, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	<-inside

	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	if err := e.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("drain with a request in flight: %v", err)
	}
	if _, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
		t.Error("a draining engine accepts")
	}
	drained := make(chan error)
	go func() { drained <- e.Drain(context.Background()) }()
	if b, err := io.ReadAll(idle); len(b) != 0 || err != nil {
		t.Errorf("idle connection: %q, %v; want a clean end", b, err)
	}
	close(release)
	if resp, _ := readResponse(t, bufio.NewReader(busy), "GET"); resp.StatusCode != 200 || !resp.Close {
		t.Errorf("busy connection: %d close=%v", resp.StatusCode, resp.Close)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	if err := e.Apply(&snapshot.Config{}); !errors.Is(err, ErrClosed) {
		t.Errorf("apply after drain: %v", err)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}

func TestNoDescriptorIsLeaked(t *testing.T) {
	app := backend(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	get(t, client(t), "http://"+app+"/") // what the runtime opens once
	away := closedPort(t)
	before := openFiles(t)
	for range 3 {
		e, err := New(Options{Workers: 2})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Apply(newMesh(app, away).config); err != nil {
			t.Fatal(err)
		}
		for range 50 {
			c, err := net.Dial("tcp", addrOf(t, e, "in"))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			c.Read(make([]byte, 10))
			c.Close()
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "descriptors are back", func() bool { return openFiles(t) <= before+1 })
}

// At the connection limit clients wait in the backlog, the loop does not spin,
// and service goes on as soon as there is room.
func TestConnectionLimit(t *testing.T) {
	app := backend(t, func(http.ResponseWriter, *http.Request) {})
	e := start(t, newMesh(app), func(o *Options) { o.MaxConnections, o.Workers = 4, 1 })
	addr := addrOf(t, e, "in")
	var held []net.Conn
	for range 4 {
		c := dial(t, addr)
		send(t, c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		readResponse(t, bufio.NewReader(c), "GET")
		held = append(held, c)
	}
	late := dial(t, addr)
	send(t, late, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	eventually(t, "the limit is met", func() bool { return metric(t, e, "envoy_listener_downstream_cx_overflow") > 0 })
	var a, b unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &a)
	late.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	if _, err := late.Read(make([]byte, 1)); err == nil {
		t.Error("served over the limit")
	}
	unix.Getrusage(unix.RUSAGE_SELF, &b)
	if used := time.Duration(b.Utime.Nano() + b.Stime.Nano() - a.Utime.Nano() - a.Stime.Nano()); used > 150*time.Millisecond {
		t.Errorf("%v of CPU in 300 ms of waiting", used)
	}
	held[0].Close()
	late.SetReadDeadline(time.Now().Add(time.Minute))
	if resp, _ := readResponse(t, bufio.NewReader(late), "GET"); resp.StatusCode != 200 {
		t.Errorf("status %d", resp.StatusCode)
	}
}

// Files and collectors that nothing in force writes to are closed, once connections
// cannot outlive their configuration any more; those that come back stay.
func TestUnusedSinksAreClosed(t *testing.T) {
	dir := t.TempDir()
	with := func(names ...string) *mesh {
		m := newMesh(backend(t, func(http.ResponseWriter, *http.Request) {}))
		for _, n := range names {
			m.chain.HTTP.AccessLogs = append(m.chain.HTTP.AccessLogs, snapshot.AccessLog{Path: filepath.Join(dir, n), TextFormat: "x\n"})
		}
		return m
	}
	e := start(t, with("a", "b"), oneLoop)
	get(t, client(t), "http://"+addrOf(t, e, "in")+"/")
	apply := func(m *mesh) {
		t.Helper()
		if err := e.Apply(m.config); err != nil {
			t.Fatal(err)
		}
	}
	open := func() (names []string) {
		e.mu.Lock()
		defer e.mu.Unlock()
		for path := range e.sinks {
			names = append(names, filepath.Base(path))
		}
		slices.Sort(names)
		return names
	}
	now := time.Now()
	after := func(d time.Duration, want ...string) {
		t.Helper()
		e.closeUnused(now.Add(d))
		if got := open(); !slices.Equal(got, want) {
			t.Errorf("after %v %v are open, want %v", d, got, want)
		}
	}
	long := e.opts.DrainCap
	apply(with("c"))
	after(0, "a", "b", "c")
	apply(with("b", "c"))
	after(long-1, "a", "b", "c")
	after(long, "b", "c")
	if raw, err := os.ReadFile(filepath.Join(dir, "a")); err != nil || string(raw) != "x\n" {
		t.Errorf("%q, %v", raw, err)
	}
	apply(with("c"))
	after(2*long, "b", "c")
	after(3*long, "c")
	apply(with("a", "c"))
	get(t, client(t), "http://"+addrOf(t, e, "in")+"/")
	eventually(t, "the file is written again", func() bool { raw, _ := os.ReadFile(filepath.Join(dir, "a")); return string(raw) == "x\nx\n" })
}
