package engine

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// admitted says whether a connection is taken: a request on it is answered.
func admitted(t *testing.T, addr string) (net.Conn, bool) {
	t.Helper()
	c := dial(t, addr)
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return c, false
	}
	if resp.StatusCode != 200 {
		t.Fatalf("status %d", resp.StatusCode)
	}
	return c, true
}

// As many connections as the limit says are served, and room is made by each that
// ends, however many loops take them.
func TestChainLimit(t *testing.T) {
	const most = 7
	m := newMesh(backend(t, func(http.ResponseWriter, *http.Request) {}))
	m.chain.Limit = &snapshot.ConnectionLimit{StatPrefix: "test", Max: most}
	e := start(t, m)
	addr := addrOf(t, e, "in")
	for round := range 3 {
		var mu sync.Mutex
		var all sync.WaitGroup
		var open []net.Conn
		for range 4 * most {
			all.Go(func() {
				if c, ok := admitted(t, addr); ok {
					mu.Lock()
					open = append(open, c)
					mu.Unlock()
				}
			})
		}
		all.Wait()
		if len(open) != most {
			t.Fatalf("round %d: %d connections at once, the limit is %d", round, len(open), most)
		}
		for _, c := range open {
			c.Close()
		}
		eventually(t, "all have gone", func() bool { return e.Connections() == 0 })
	}
	if n := metric(t, e, "envoy_connection_limit_limited_connections"); n != 3*3*most {
		t.Errorf("%v are counted, want %d", n, 3*3*most)
	}
	if n := metric(t, e, "envoy_connection_limit_active_connections"); n != 0 {
		t.Errorf("%v are said to be there", n)
	}
}

// A connection that is there when the limit changes is counted on; one more is
// taken only below the new limit.
func TestChainLimitOutlivesConfigurations(t *testing.T) {
	m := newMesh(backend(t, func(http.ResponseWriter, *http.Request) {}))
	m.chain.Limit = &snapshot.ConnectionLimit{StatPrefix: "test", Max: 3}
	e := start(t, m)
	addr := addrOf(t, e, "in")
	var open []net.Conn
	for i := range 3 {
		c, ok := admitted(t, addr)
		if !ok {
			t.Fatalf("connection %d is refused", i)
		}
		open = append(open, c)
	}
	next := *m.config.Listeners["in"]
	chain := *m.chain
	chain.Limit = &snapshot.ConnectionLimit{StatPrefix: "test", Max: 2}
	next.Chains = []*snapshot.Chain{&chain}
	if err := e.Apply(&snapshot.Config{Listeners: map[string]*snapshot.Listener{"in": &next}, Clusters: m.config.Clusters}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{false, false, true} {
		if c, ok := admitted(t, addr); ok != want {
			t.Errorf("with %d connections of 2: taken %v", 3-i, ok)
		} else if ok {
			c.Close()
		}
		open[i].Close()
		left := int64(2 - i)
		eventually(t, fmt.Sprint(left, " are left"), func() bool { return int64(e.Connections()) == left })
	}
}

// What is beyond the limit is closed before a handshake, and does not hold a place
// while it tries.
func TestChainLimitBeforeTLS(t *testing.T) {
	a := newAuthority(t)
	m := newMesh(backend(t, func(http.ResponseWriter, *http.Request) {}))
	m.chain.TLS, m.chain.Limit = a.server(serverID), &snapshot.ConnectionLimit{StatPrefix: "test", Max: 1}
	e := start(t, m)
	silent := dial(t, addrOf(t, e, "in")) // a connection without a handshake is one
	eventually(t, "it is taken", func() bool { return e.Connections() == 1 })
	if got, err := io.ReadAll(dial(t, addrOf(t, e, "in"))); len(got) > 0 || err != nil {
		t.Errorf("beyond the limit: %q, %v", got, err)
	}
	silent.Close()
	eventually(t, "it has gone", func() bool { return e.Connections() == 0 })
	if status, _ := get(t, tlsClient(t, a.client(clientID)), "https://"+addrOf(t, e, "in")+"/"); status != 200 {
		t.Errorf("below the limit: %d", status)
	}
}
