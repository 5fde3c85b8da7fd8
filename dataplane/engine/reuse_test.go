package engine

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meshc/meshc/dataplane/route"
)

// corked collects what is written until it is let go, in one piece.
type corked struct {
	net.Conn
	held []byte
	cork bool
}

func (c *corked) Write(p []byte) (int, error) {
	if !c.cork {
		return c.Conn.Write(p)
	}
	c.held = append(c.held, p...)
	return len(p), nil
}

// An answer that nobody asked for waits inside the TLS layer, where epoll does
// not see it. It must not become the answer to the next request.
func TestUnaskedAnswerInsideTLSIsNotTaken(t *testing.T) {
	a := newAuthority(t)
	conf := a.server(serverID)
	app := rawBackend(t, func(raw net.Conn) {
		below := &corked{Conn: raw}
		c := tls.Server(below, conf)
		r := bufio.NewReader(c)
		for {
			if _, err := readRequestHead(r); err != nil {
				return
			}
			below.cork = true
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
			below.cork = false
			if _, err := raw.Write(below.held); err != nil {
				return
			}
			below.held = nil
		}
	})
	m := newMesh(app)
	m.cluster().TLS = a.client(clientID)
	e := start(t, m, func(o *Options) { o.Workers = 1 })
	cl := client(t)
	for i := range 4 {
		if status, body := get(t, cl, "http://"+addrOf(t, e, "in")+"/"); status != 200 || body != "good" {
			t.Fatalf("request %d: %d %q", i, status, body)
		}
	}
}

// A connection that dies without an answer may have died of the request: one
// that does harm when it is done twice is not sent again, whether the
// connection was new or had been used before.
func TestReusedConnectionThatDiesIsNotBeforeTheRequest(t *testing.T) {
	var posts atomic.Int32
	app := rawBackend(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		for {
			head, err := readRequestHead(r)
			if err != nil {
				return
			}
			if strings.HasPrefix(head, "POST") {
				posts.Add(1) // done, and then it crashes
				return
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	m := newMesh(app)
	m.entry.Retry = &route.Retry{On: route.RetryResetBeforeRequest | route.RetryConnectFailure, Attempts: 2, BackoffBase: time.Millisecond}
	e := start(t, m, func(o *Options) { o.Workers = 1 })
	cl, url := client(t), "http://"+addrOf(t, e, "in")+"/"
	if status, _ := get(t, cl, url); status != 200 {
		t.Fatalf("status %d", status)
	}
	resp, err := cl.Post(url, "text/plain", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 503 || posts.Load() != 1 {
		t.Errorf("status %d, done %d times", resp.StatusCode, posts.Load())
	}
}

// An upstream that sends interim responses without end holds its own request
// up, and no other one.
func TestEndlessInterimResponses(t *testing.T) {
	app := rawBackend(t, func(c net.Conn) {
		readRequestHead(bufio.NewReader(c))
		flood := strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 1000)
		for {
			if _, err := io.WriteString(c, flood); err != nil {
				return
			}
		}
	})
	e := start(t, newMesh(app), func(o *Options) { o.Workers = 1 })
	if status, _ := get(t, client(t), "http://"+addrOf(t, e, "in")+"/"); status != 502 {
		t.Errorf("status %d", status)
	}
}
