package engine

import (
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshc/meshc/dataplane/route"
	"github.com/meshc/meshc/dataplane/snapshot"
)

const copyCluster = "outbound|80|v2|app"

// copies are what a copy's server has got.
type copies struct {
	mu  sync.Mutex
	got []string
}

func (c *copies) list() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(slices.Values(c.got))
}

func (c *copies) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	c.mu.Lock()
	c.got = append(c.got, r.Method+" "+r.Host+r.RequestURI+" "+r.Header.Get("x-user")+" "+string(body))
	c.mu.Unlock()
	w.WriteHeader(500)
	_, _ = io.WriteString(w, strings.Repeat("of no interest", 10000))
}

// mirroring copies all requests of a mesh to a server.
func (m *mesh) mirroring(at string, limit time.Duration) {
	m.config.Clusters[copyCluster] = &snapshot.Cluster{
		Name: copyCluster, Digest: "1", Endpoints: []snapshot.Endpoint{{Addr: netip.MustParseAddrPort(at), Weight: 1, Healthy: true}},
	}
	m.entry.Mirrors = []route.Mirror{route.MirrorAll(copyCluster, limit)}
}

func TestCopies(t *testing.T) {
	c := &copies{}
	m := newMesh(backend(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	}))
	m.mirroring(backend(t, c.ServeHTTP), time.Minute)
	e := start(t, m)
	url := "http://" + addrOf(t, e, "in") + "/a?b=1"
	var want []string
	for name, x := range map[string]*http.Client{"h1": client(t), "h2": h2Client(t)} {
		for _, body := range []string{"", "hello", strings.Repeat("x", 100<<10)} {
			for _, length := range []int64{int64(len(body)), -1} {
				req, err := http.NewRequestWithContext(t.Context(), "POST", url, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				req.Host, req.ContentLength = "shop:80", length
				req.Header.Set("x-user", name)
				resp, err := x.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != 200 || string(got) != body {
					t.Errorf("%d, %d bytes, %v", resp.StatusCode, len(got), err)
				}
				want = append(want, "POST shop-shadow:80/a?b=1 "+name+" "+body)
			}
		}
	}
	slices.Sort(want)
	eventually(t, "all copies have come", func() bool { return len(c.list()) == len(want) })
	if got := c.list(); !slices.Equal(got, want) {
		t.Errorf("%d copies, not those that were expected", len(got))
	}
	eventually(t, "none is on its way", func() bool { return copying(e) == 0 })
}

// copying is how many copies are on their way.
func copying(e *Engine) (n int) {
	for _, w := range e.workers {
		at := make(chan int)
		w.do(func() { at <- len(w.shadows) })
		n += <-at
	}
	return n
}

// A server of copies that does nothing holds nobody up, nor does one that is away;
// it is left alone when its time is over.
func TestCopiesHoldNobodyUp(t *testing.T) {
	for name, at := range map[string]string{"silent": silent(t), "away": closedPort(t)} {
		m := newMesh(backend(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
		m.mirroring(at, 300*time.Millisecond)
		e := start(t, m)
		body := strings.Repeat("x", 4*maxBehind)
		for range 3 {
			if code, _ := say(t, client(t), "http://"+addrOf(t, e, "in")+"/", "", body, int64(len(body))); code != 200 {
				t.Errorf("%s: %d", name, code)
			}
			if code, _ := get(t, client(t), "http://"+addrOf(t, e, "in")+"/"); code != 200 {
				t.Errorf("%s: %d", name, code)
			}
		}
		eventually(t, "none is on its way: "+name, func() bool { return copying(e) == 0 })
	}
}

// A copy of a request that breaks off breaks off; Close ends those on their way.
func TestCopiesEndWithTheirRequest(t *testing.T) {
	m := newMesh(backend(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	m.mirroring(silent(t), time.Minute)
	e := start(t, m)
	in, out := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+addrOf(t, e, "in")+"/", in)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { _, err := client(t).Do(req); done <- err }()
	if _, err := out.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a copy is on its way", func() bool { return copying(e) == 1 })
	out.CloseWithError(io.ErrUnexpectedEOF)
	if err := <-done; err == nil {
		t.Error("there is an answer")
	}
	eventually(t, "the copy has ended", func() bool { return copying(e) == 0 })
	if code, _ := get(t, client(t), "http://"+addrOf(t, e, "in")+"/"); code != 200 {
		t.Error(code)
	}
	if n := copying(e); n != 1 {
		t.Errorf("%d copies are on their way, and the engine closes", n)
	}
}

func TestShadowHosts(t *testing.T) {
	for host, want := range map[string]string{"shop": "shop-shadow", "shop:80": "shop-shadow:80", "[::1]:80": "[::1]:80-shadow", "": "-shadow"} {
		if got := shadowHost(host); got != want {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
}
