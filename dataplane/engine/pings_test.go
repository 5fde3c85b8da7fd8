package engine

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// pinged is a server of HTTP/2 that answers no request. frame says what it does
// about pings.
func pinged(t *testing.T, frame func(*http2.Framer, *http2.PingFrame) error) (addr string, seen *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	seen = new(atomic.Int64)
	serve := func(c net.Conn) {
		defer c.Close()
		if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		fr := http2.NewFramer(c, c)
		if err := errors.Join(fr.WriteSettings(), fr.WriteSettingsAck()); err != nil {
			return
		}
		for {
			f, err := fr.ReadFrame()
			if err != nil {
				return
			}
			if p, ok := f.(*http2.PingFrame); ok {
				seen.Add(1)
				if frame(fr, p) != nil {
					return
				}
			}
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			go serve(c)
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String(), seen
}

// A connection whose other end hangs is closed, and its requests fail; one on which
// anything comes stays.
func TestPings(t *testing.T) {
	const gone = "envoy_cluster_http2_keepalive_timeout"
	for name, c := range map[string]struct {
		does func(*http2.Framer, *http2.PingFrame) error
		dies bool
	}{
		"answered": {func(fr *http2.Framer, p *http2.PingFrame) error { return fr.WritePing(true, p.Data) }, false},
		"hangs":    {func(*http2.Framer, *http2.PingFrame) error { return nil }, true},
	} {
		t.Run(name, func(t *testing.T) {
			addr, seen := pinged(t, c.does)
			m := newMesh(addr)
			m.cluster().Protocol = snapshot.UpstreamHTTP2
			m.cluster().HTTP2.Pings = &snapshot.Pings{Interval: 20 * time.Millisecond, Timeout: 10 * time.Second}
			if c.dies {
				m.cluster().HTTP2.Pings.Timeout = 30 * time.Millisecond
			}
			e := start(t, m)
			status := make(chan int, 1)
			go func() {
				resp, err := client(t).Get("http://" + addrOf(t, e, "in") + "/")
				if err != nil {
					status <- 0
					return
				}
				resp.Body.Close()
				status <- resp.StatusCode
			}()
			if !c.dies {
				eventually(t, "several pings are answered", func() bool { return seen.Load() >= 5 })
				if n := metric(t, e, gone); n != 0 {
					t.Errorf("%v connections given up", n)
				}
				if err := e.Close(); err != nil {
					t.Error(err)
				}
				<-status
				return
			}
			if got := <-status; got != http.StatusServiceUnavailable {
				t.Errorf("status %d, want 503", got)
			}
			if n := metric(t, e, gone); n != 1 {
				t.Errorf("%v connections given up, want 1", n)
			}
		})
	}
}

// Whatever comes says that the endpoint is there, also if no answer does.
func TestPingsHearAnything(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	addr, seen := pinged(t, func(fr *http2.Framer, _ *http2.PingFrame) error {
		go func() {
			for fr.WriteWindowUpdate(0, 1) == nil {
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
				}
			}
		}()
		return nil
	})
	m := newMesh(addr)
	m.cluster().Protocol = snapshot.UpstreamHTTP2
	m.cluster().HTTP2.Pings = &snapshot.Pings{Interval: time.Millisecond, Timeout: 2 * time.Second}
	e := start(t, m)
	began := time.Now()
	failed := make(chan struct{})
	go func() {
		defer close(failed)
		if resp, err := client(t).Get("http://" + addrOf(t, e, "in") + "/"); err == nil {
			resp.Body.Close()
		}
	}()
	eventually(t, "the ping comes", func() bool { return seen.Load() == 1 })
	select {
	case <-failed:
		t.Errorf("given up after %s", time.Since(began))
	case <-time.After(6 * time.Second): // three times what silence has
	}
	close(stop)
	<-failed
	if n := metric(t, e, "envoy_cluster_http2_keepalive_timeout"); n != 1 {
		t.Errorf("%v connections given up, want 1: after silence", n)
	}
}
