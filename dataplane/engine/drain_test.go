package engine

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/snapshot"
)

// The one request that a drained connection may still make sees the old
// configuration whole: not its routes with the clusters of the new one.
func TestLastRequestOfADrainedConnection(t *testing.T) {
	app := backend(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "ok") })
	e := start(t, newMesh(app), func(o *Options) { o.DrainGrace = 10 * time.Second })
	c := dial(t, addrOf(t, e, "in"))
	r := bufio.NewReader(c)
	send(t, c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	readResponse(t, r, "GET")
	if err := e.Apply(&snapshot.Config{}); err != nil {
		t.Fatal(err)
	}
	send(t, c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if resp, body := readResponse(t, r, "GET"); resp.StatusCode != 200 || body != "ok" || !resp.Close {
		t.Errorf("%d %q close=%v", resp.StatusCode, body, resp.Close)
	}
}

// Gauges return to zero when the statistics' prefix changes under a connection.
func TestGaugesAcrossAChangeOfPrefix(t *testing.T) {
	app := backend(t, func(http.ResponseWriter, *http.Request) {})
	m := newMesh(app)
	e := start(t, m)
	c := dial(t, addrOf(t, e, "in"))
	r := bufio.NewReader(c)
	send(t, c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	readResponse(t, r, "GET")
	next, l, ch, h := *m.config, *m.config.Listeners["in"], *m.chain, *m.chain.HTTP
	h.StatPrefix, ch.HTTP, l.Chains = "other", &h, []*snapshot.Chain{&ch}
	next.Listeners = map[string]*snapshot.Listener{"in": &l}
	if err := e.Apply(&next); err != nil {
		t.Fatal(err)
	}
	send(t, c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	readResponse(t, r, "GET")
	c.Close()
	eventually(t, "the connection is gone", func() bool { return e.Connections() == 0 })
	for _, prefix := range []string{"test", "other"} {
		if n := metric(t, e, `envoy_http_downstream_cx_active{envoy_http_conn_manager_prefix="`+prefix+`"}`); n != 0 {
			t.Errorf("%s: %v connections active", prefix, n)
		}
	}
}

// A delay is no idleness: a request that was held back longer than the stream's
// idle timeout goes on.
func TestDelayLongerThanTheIdleTimeout(t *testing.T) {
	t.Parallel()
	app := backend(t, func(w http.ResponseWriter, r *http.Request) { time.Sleep(20 * time.Millisecond) })
	m := newMesh(app)
	m.entry.Idle = 2 * time.Second
	m.chain.HTTP.Filters = []filter.HTTP{verdict{Delay: 4500 * time.Millisecond, DelayFlag: "DI"}}
	e := start(t, m)
	if status, body := get(t, client(t), "http://"+addrOf(t, e, "in")+"/"); status != 200 {
		t.Errorf("%d %s", status, body)
	}
}

// Requests that wait for a connection must not wait for ever when the one they
// wait for goes and no new one can be made.
func TestQueueWhenNoConnectionCanBeMade(t *testing.T) {
	die, reached := make(chan struct{}), make(chan struct{})
	app := rawBackend(t, func(c net.Conn) { readRequestHead(bufio.NewReader(c)); close(reached); <-die })
	m := newMesh(app)
	m.cluster().MaxConnections = 1
	e := start(t, m, func(o *Options) { o.Workers = 1 })
	var waiting []*bufio.Reader
	for range 4 {
		c := dial(t, addrOf(t, e, "in"))
		send(t, c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		waiting = append(waiting, bufio.NewReader(c))
	}
	eventually(t, "three wait", func() bool { return metric(t, e, "envoy_cluster_upstream_cx_overflow") == 3 })
	<-reached // accepting takes a descriptor, too
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	close(die)
	for i, r := range waiting {
		if resp, _ := readResponse(t, r, "GET"); resp.StatusCode != 503 {
			t.Errorf("request %d: status %d", i, resp.StatusCode)
		}
	}
	if n := e.current.states[poolKey{clusterName, "1"}].Pending.Used(); n != 0 {
		t.Errorf("%d requests are still pending", n)
	}
}

// Everybody who waits for the last connection to go is told.
func TestTwoWaitForTheDrain(t *testing.T) {
	app := backend(t, func(http.ResponseWriter, *http.Request) {})
	e := start(t, newMesh(app), func(o *Options) { o.DrainGrace = 100 * time.Millisecond })
	c := dial(t, addrOf(t, e, "in"))
	send(t, c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	readResponse(t, bufio.NewReader(c), "GET")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	done := make(chan error, 3)
	for range 3 {
		go func() { done <- e.Drain(ctx) }()
	}
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
