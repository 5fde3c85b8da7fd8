package engine

import (
	"bufio"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// peers counts the connections that an application gets requests on.
type peers struct {
	mu   sync.Mutex
	seen map[string]int
}

func (p *peers) note(r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen == nil {
		p.seen = map[string]int{}
	}
	p.seen[r.RemoteAddr]++
}

func (p *peers) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.seen)
}

func TestRequestsPerConnection(t *testing.T) {
	for name, overHTTP2 := range map[string]bool{"http/1.1": false, "http/2": true} {
		t.Run(name, func(t *testing.T) {
			var seen peers
			handler := func(_ http.ResponseWriter, r *http.Request) { seen.note(r) }
			var m *mesh
			if overHTTP2 {
				m = newMesh(h2Backend(t, handler))
				m.cluster().Protocol = snapshot.UpstreamHTTP2
			} else {
				m = newMesh(backend(t, handler))
			}
			m.cluster().MaxRequestsPerConnection = 3
			e := start(t, m, func(o *Options) { o.Workers = 1 })
			c := client(t)
			for range 9 {
				if status, body := get(t, c, "http://"+addrOf(t, e, "in")+"/"); status != 200 {
					t.Fatal(status, body)
				}
			}
			if n := seen.count(); n != 3 {
				t.Errorf("%d connections for 9 requests, 3 on each: %v", n, seen.seen)
			}
			if n := metric(t, e, "envoy_cluster_upstream_cx_max_requests"); n != 3 {
				t.Errorf("upstream_cx_max_requests %v, want 3", n)
			}
		})
	}
}

func TestUpstreamConnectionsAge(t *testing.T) {
	for name, overHTTP2 := range map[string]bool{"http/1.1": false, "http/2": true} {
		t.Run(name, func(t *testing.T) {
			handler := func(http.ResponseWriter, *http.Request) {}
			var m *mesh
			if overHTTP2 {
				m = newMesh(h2Backend(t, handler))
				m.cluster().Protocol = snapshot.UpstreamHTTP2
			} else {
				m = newMesh(backend(t, handler))
			}
			m.cluster().MaxConnectionDuration = 50 * time.Millisecond
			m.cluster().IdleTimeout = -1
			e := start(t, m, func(o *Options) { o.Workers = 1 })
			get(t, client(t), "http://"+addrOf(t, e, "in")+"/")
			eventually(t, "the idle connection is closed", func() bool { return metric(t, e, "envoy_cluster_upstream_cx_active") == 0 })
		})
	}
}

// The limit of requests holds where many wait for one connection to be made.
func TestMaxRequestsHoldsForThoseThatWaited(t *testing.T) {
	release := make(chan struct{})
	var inside, most atomic.Int32
	handler := func(http.ResponseWriter, *http.Request) {
		if n := inside.Add(1); n > most.Load() {
			most.Store(n)
		}
		<-release
		inside.Add(-1)
	}
	for name, overHTTP2 := range map[string]bool{"http/1.1": false, "http/2": true} {
		t.Run(name, func(t *testing.T) {
			release = make(chan struct{})
			var m *mesh
			if overHTTP2 {
				m = newMesh(h2Backend(t, handler))
				m.cluster().Protocol = snapshot.UpstreamHTTP2
			} else {
				m = newMesh(backend(t, handler))
			}
			m.cluster().MaxRequests = 2
			e := start(t, m, func(o *Options) { o.Workers = 1 })
			answers := make(chan *http.Response, 8)
			for range 8 {
				go func() {
					resp, err := client(t).Get("http://" + addrOf(t, e, "in") + "/")
					if err != nil {
						t.Error(err)
						answers <- nil
						return
					}
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					answers <- resp
				}()
			}
			for range 6 {
				if resp := <-answers; resp == nil || resp.StatusCode != 503 || resp.Header.Get("x-envoy-overloaded") != "true" {
					t.Errorf("%+v, want 503 with x-envoy-overloaded", resp)
				}
			}
			close(release)
			for range 2 {
				if resp := <-answers; resp == nil || resp.StatusCode != 200 {
					t.Errorf("%+v, want 200", resp)
				}
			}
			if n := most.Load(); n > 2 {
				t.Errorf("%d requests at once, want at most 2", n)
			}
			if n := metric(t, e, "envoy_cluster_upstream_rq_pending_overflow"); n != 6 {
				t.Errorf("upstream_rq_pending_overflow %v, want 6", n)
			}
		})
	}
}

func TestDownstreamConnectionsAge(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	m := newMesh(backend(t, func(http.ResponseWriter, *http.Request) { <-release }))
	m.chain.HTTP.MaxConnectionDuration = 2 * time.Second
	m.chain.HTTP.IdleTimeout, m.chain.HTTP.RequestHeadersTimeout = -1, -1
	e := start(t, m, func(o *Options) { o.Workers = 1 })
	idle, busy := dial(t, addrOf(t, e, "in")), dial(t, addrOf(t, e, "in"))
	send(t, busy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if _, err := idle.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the idle connection: %v, want its end", err)
	}
	close(release)
	resp, _ := readResponse(t, bufio.NewReader(busy), "GET")
	if resp.StatusCode != 200 || !resp.Close {
		t.Errorf("the busy connection: %d, close %v", resp.StatusCode, resp.Close)
	}
}

func TestKeepalive(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	keepAlive(fd, &snapshot.Keepalive{Probes: 5, Time: 300 * time.Second, Interval: 30 * time.Second})
	for _, want := range [][3]int{{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1}, {unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 5}, {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 300}, {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 30}} {
		if got, err := unix.GetsockoptInt(fd, want[0], want[1]); err != nil || got != want[2] {
			t.Errorf("option %v is %d (%v)", want, got, err)
		}
	}
}
