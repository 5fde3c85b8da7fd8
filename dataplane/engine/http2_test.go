package engine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// h2Client speaks HTTP/2 with prior knowledge, on one connection.
func h2Client(t *testing.T) *http.Client {
	tr := &http.Transport{DisableCompression: true, Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: time.Minute}
}

// h2Backend is a server of both protocols, HTTP/2 with prior knowledge.
func h2Backend(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Proto", r.Proto)
	w.Header().Set("X-Query", r.URL.RawQuery)
	if r.ContentLength >= 0 {
		w.Header().Set("X-Length", fmt.Sprint(r.ContentLength))
	}
	_ = http.NewResponseController(w).EnableFullDuplex() // HTTP/1.1 servers of net/http stop reading otherwise
	io.Copy(w, r.Body)
}

// Every pair of protocols carries requests and bodies of every size.
func TestProtocolsMeet(t *testing.T) {
	sizes := []int{0, 1, 100, 16384, 16385, 70_000, 1_000_000}
	for _, down := range []string{"HTTP/1.1", "HTTP/2.0"} {
		for up, want := range map[snapshot.Upstream]string{snapshot.UpstreamHTTP1: "HTTP/1.1", snapshot.UpstreamHTTP2: "HTTP/2.0", snapshot.UpstreamAsDownstream: down} {
			t.Run(fmt.Sprintf("%s to %d", down, up), func(t *testing.T) {
				m := newMesh(h2Backend(t, echo))
				m.cluster().Protocol = up
				e := start(t, m)
				c := client(t)
				if down == "HTTP/2.0" {
					c = h2Client(t)
				}
				var all sync.WaitGroup
				for _, size := range sizes {
					for _, chunked := range []bool{false, true} {
						all.Go(func() { exchangeBody(t, c, "http://"+addrOf(t, e, "in")+"/p?q=1", size, chunked, want) })
					}
				}
				all.Wait()
			})
		}
	}
}

func exchangeBody(t *testing.T, c *http.Client, url string, size int, chunked bool, proto string) {
	body := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
	req, _ := http.NewRequest("POST", url, bytes.NewReader(body))
	if chunked {
		req.ContentLength, req.Body = -1, io.NopCloser(bytes.NewReader(body))
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Errorf("%d bytes: %v", size, err)
		return
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Equal(got, body) || resp.StatusCode != 200 {
		t.Errorf("%d bytes: %d, %d bytes came back, %v", size, resp.StatusCode, len(got), err)
	}
	if p := resp.Header.Get("X-Proto"); p != proto {
		t.Errorf("upstream saw %s, want %s", p, proto)
	}
	if l := resp.Header.Get("X-Length"); !chunked && l != fmt.Sprint(size) {
		t.Errorf("%d bytes: upstream was told %q", size, l)
	}
}

// Streams that are open when a drain begins end in peace, and requests that a
// client sends before it has heard of it are answered.
func TestDrainLetsStreamsEnd(t *testing.T) {
	release := make(chan struct{})
	begun := make(chan struct{}, 8)
	m := newMesh(h2Backend(t, func(w http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		w.WriteHeader(200)
		_ = http.NewResponseController(w).Flush()
		<-release
		io.WriteString(w, "done")
	}))
	m.cluster().Protocol = snapshot.UpstreamHTTP2
	e := start(t, m)
	c := h2Client(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if status, body := get(t, c, "http://"+addrOf(t, e, "in")+"/"); status != 200 || body != "done" {
				t.Errorf("%d %q", status, body)
			}
		})
	}
	for range 4 {
		<-begun
	}
	drained := make(chan error, 1)
	go func() { drained <- e.Drain(within(t)) }()
	eventually(t, "the listener is closed", func() bool {
		conn, err := net.Dial("tcp", addrOf(t, e, "in"))
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	select {
	case err := <-drained:
		t.Errorf("drained over open streams: %v", err)
	default:
	}
	close(release)
	all.Wait()
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// A client whose stream is reset does not take the connection's others with it,
// and its upstream request ends.
func TestResetsEndOneStream(t *testing.T) {
	held := make(chan struct{}, 1)
	m := newMesh(h2Backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/held" {
			held <- struct{}{}
			<-r.Context().Done()
			held <- struct{}{}
		}
	}))
	m.cluster().Protocol = snapshot.UpstreamHTTP2
	logged := withLog(t, m)
	e := start(t, m, func(o *Options) { o.Workers = 1 })
	c := h2Client(t)
	get(t, c, "http://"+addrOf(t, e, "in")+"/")
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-held; cancel() }()
	req, _ := http.NewRequestWithContext(ctx, "GET", "http://"+addrOf(t, e, "in")+"/held", nil)
	if resp, err := c.Do(req); err == nil {
		resp.Body.Close()
		t.Error("a cancelled request was answered")
	}
	<-held // the server has seen the reset
	get(t, c, "http://"+addrOf(t, e, "in")+"/")
	if n := metric(t, e, "envoy_cluster_upstream_cx_total"); n != 1 {
		t.Errorf("%v upstream connections", n)
	}
	if r := logged(e)[1]; r["flags"] != "DR" || r["path"] != "/held" {
		t.Errorf("logged %v", r)
	}
}
