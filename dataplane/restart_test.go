package dataplane_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meshc/meshc/dataplane"
	"github.com/meshc/meshc/dataplane/engine"
	"github.com/meshc/meshc/dataplane/handover"
)

// Proxies take each other's place: requests do not fail, each ends by itself, and
// the last is the one that answers on the admin endpoint.
func TestSuccession(t *testing.T) {
	at, text := hello(t)
	dir, err := os.MkdirTemp("", "dp") // short: a socket address holds 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	run := func() (ended chan error) {
		started, ended := make(chan *engine.Engine, 1), make(chan error, 1)
		opts := dataplane.Options{Bootstrap: parse(t, text), Workers: 1, AdminSocket: filepath.Join(dir, "admin"), HotRestart: filepath.Join(dir, "restart"),
			DrainTimeout: 5 * time.Second, Log: slog.New(slog.DiscardHandler), Started: func(e *engine.Engine) { started <- e }}
		go func() { ended <- dataplane.Run(ctx, opts) }()
		select {
		case <-started:
		case err := <-ended:
			t.Fatalf("the proxy ended: %v", err)
		case <-time.After(patience):
			t.Fatal("the proxy serves nothing")
		}
		return ended
	}
	last := run()
	var asked atomic.Int64
	clients := make(chan struct{})
	stop := make(chan struct{})
	go func() {
		defer close(clients)
		for {
			select {
			case <-stop:
				return
			default:
			}
			resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + at + "/")
			if err != nil {
				t.Error(err)
				return
			}
			if b, err := io.ReadAll(resp.Body); string(b) != "hello" || err != nil {
				t.Errorf("%q, %v", b, err)
			}
			resp.Body.Close()
			asked.Add(1)
		}
	}()
	for range 5 {
		next := run()
		select {
		case err := <-last:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Fatal("the process before does not end")
		}
		last = next
	}
	close(stop)
	<-clients
	admin := overUnix(filepath.Join(dir, "admin"))
	if status, body := fetch(t, admin, "http://proxy/ready"); status != 200 {
		t.Errorf("%d %q", status, body)
	}
	cancel()
	if err := <-last; err != nil {
		t.Error(err)
	}
	t.Logf("%d requests", asked.Load())
}

// hello is the bootstrap of a proxy that answers by itself, at an address.
func hello(t *testing.T) (at, text string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at = l.Addr().String()
	l.Close()
	host, port := split(t, at)
	text = fmt.Sprintf(`static_resources: {listeners: [{name: in, address: {socket_address: {address: %s, port_value: %s}}, filter_chains: [{filters: [{name: hcm, typed_config: {
  "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: in,
  http_filters: [{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}],
  route_config: {name: r, virtual_hosts: [{name: v, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: hello}}}]}]}}}]}]}]}`, host, port)
	return at, text
}

// hurried retires at once, before it has given its other sockets up.
type hurried struct{ retired chan struct{} }

func (hurried) Socket(netip.AddrPort) (*os.File, bool) { return nil, false }
func (h hurried) Retire()                              { close(h.retired) }

// Whoever has told another process to retire serves from then on, whatever becomes
// of the sockets of that one: they are taken when they are free.
func TestSuccessorOutlivesBusySockets(t *testing.T) {
	at, text := hello(t)
	dir, err := os.MkdirTemp("", "dp") // short: a socket address holds 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := func(name string) *net.UnixListener {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, name), Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	busy, before := socket("admin"), hurried{make(chan struct{})}
	over := make(chan error, 1)
	restart := socket("restart") // before there is anybody to ask
	go func() { over <- handover.Serve(t.Context(), restart, "", before) }()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	opts := dataplane.Options{Bootstrap: parse(t, text), Workers: 1, AdminSocket: filepath.Join(dir, "admin"), HotRestart: filepath.Join(dir, "restart"),
		DrainTimeout: 5 * time.Second, Log: slog.New(slog.DiscardHandler)}
	go func() { ended <- dataplane.Run(ctx, opts) }()
	select {
	case <-before.retired:
	case err := <-ended:
		t.Fatalf("it has ended before it has taken over: %v", err)
	}
	if err := <-over; err != nil {
		t.Error(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for range 20 { // longer than a try to have the sockets takes
		if status, body := fetch(t, client, "http://"+at+"/"); status != 200 {
			t.Fatalf("%d %q", status, body)
		}
		time.Sleep(20 * time.Millisecond)
	}
	select {
	case err := <-ended:
		t.Fatalf("nobody serves: %v", err)
	default:
	}
	busy.Close()
	admin := overUnix(filepath.Join(dir, "admin"))
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if resp, err := admin.Get("http://proxy/ready"); err == nil {
			resp.Body.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the admin endpoint is nobody's")
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func overUnix(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
}
