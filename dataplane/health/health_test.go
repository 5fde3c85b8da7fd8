package health_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	grpchealth "google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/meshc/meshc/dataplane/health"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// proxy is the admin endpoint of one, which is ready or not.
func proxy(t *testing.T) (socket string, ready *atomic.Bool) {
	t.Helper()
	socket, ready = filepath.Join(t.TempDir(), "admin.sock"), new(atomic.Bool)
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ready" || !ready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close(); <-done })
	return socket, ready
}

func portOf(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func probe(t *testing.T, text string) health.Probe {
	t.Helper()
	p, err := health.ParseProbe(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestTheApplicationIsAsked(t *testing.T) {
	app := func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/moved":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		case r.URL.String() != "/well?deep=1" || r.Header.Get("X-Probe") != "yes" || r.Host != "asked.example":
			w.WriteHeader(http.StatusTeapot)
		}
	}
	plain, secure := httptest.NewServer(http.HandlerFunc(app)), httptest.NewTLSServer(http.HandlerFunc(app))
	defer plain.Close()
	defer secure.Close()
	rpc, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, state := grpc.NewServer(), grpchealth.NewServer()
	state.SetServingStatus("a/b", healthpb.HealthCheckResponse_SERVING)
	state.SetServingStatus("ill", healthpb.HealthCheckResponse_NOT_SERVING)
	healthpb.RegisterHealthServer(server, state)
	go func() { _ = server.Serve(rpc) }()
	defer server.Stop()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()

	p, s := portOf(t, plain.Listener.Addr().String()), portOf(t, secure.Listener.Addr().String())
	g, c := portOf(t, rpc.Addr().String()), portOf(t, closed.Addr().String())
	for target, want := range map[string]int{
		"http://:" + p + "/well?deep=1":  200,
		"https://:" + s + "/well?deep=1": 200,
		"http://:" + p + "/ill":          418,
		"http://:" + p + "/moved":        200,
		"http://:" + c + "/":             503,
		"tcp://:" + p:                    200,
		"tcp://:" + c:                    503,
		"grpc://:" + g + "/a%2Fb":        200,
		"grpc://:" + g + "/":             200, // the server itself
		"grpc://:" + g + "/ill":          503,
		"grpc://:" + g + "/nobody":       503,
	} {
		h := &health.Server{Probes: []health.Probe{probe(t, "app/web/liveness="+target)}, Log: slog.New(slog.DiscardHandler)}
		r := httptest.NewRequest(http.MethodGet, "http://10.0.0.7:15021/app/web/liveness", nil)
		r.Header.Set("X-Probe", "yes")
		r.Host = "asked.example"
		w := httptest.NewRecorder()
		h.Handler().ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: %d %s, want %d", target, w.Code, w.Body, want)
		}
	}
}

func TestOnlyProbesAreAnswered(t *testing.T) {
	h := (&health.Server{Probes: []health.Probe{probe(t, "app/web/liveness=tcp://:1")}, Log: slog.New(slog.DiscardHandler)}).Handler()
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/", 404}, {"GET", "/app/web/readiness", 404}, {"GET", "/app/web/liveness/x", 404}, {"POST", "/app/web/liveness", 405}, {"POST", "/ready", 405},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		if w.Code != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, w.Code, c.want)
		}
	}
}

// TestReadyIsTheProxys, and Wait waits for it.
func TestReadyIsTheProxys(t *testing.T) {
	socket, ready := proxy(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- (&health.Server{AdminSocket: socket, Log: slog.New(slog.DiscardHandler)}).Run(ctx, l)
	}()
	get := func() int {
		res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(&http.Request{Method: "GET", Header: http.Header{}, URL: &url.URL{Scheme: "http", Host: l.Addr().String(), Path: "/ready"}})
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		_, _ = io.Copy(io.Discard, res.Body)
		return res.StatusCode
	}
	if got := get(); got != 503 {
		t.Errorf("not ready: %d", got)
	}
	short, stop := context.WithTimeout(ctx, 50*time.Millisecond)
	if err := health.Wait(short, l.Addr().String(), time.Millisecond); err == nil {
		t.Error("nobody waited")
	}
	stop()
	waited := make(chan error, 1)
	go func() { waited <- health.Wait(ctx, l.Addr().String(), time.Millisecond) }()
	ready.Store(true)
	if err := <-waited; err != nil {
		t.Error(err)
	}
	if got := get(); got != 200 {
		t.Errorf("ready: %d", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestProbesThatAreNone(t *testing.T) {
	for _, text := range []string{
		"", "app/web/liveness", "web/liveness=tcp://:1", "app/web/alive=tcp://:1", "app/Web/liveness=tcp://:1", "app/../liveness=tcp://:1",
		"app/web/liveness=tcp://", "app/web/liveness=tcp://:0", "app/web/liveness=tcp://:70000", "app/web/liveness=http://example.com:80/",
		"app/web/liveness=http://user@:80/", "app/web/liveness=ftp://:80/", "app/web/liveness=http:80", "app/web/liveness=%zz",
	} {
		if p, err := health.ParseProbe(text); err == nil || !strings.HasPrefix(err.Error(), "probe ") {
			t.Errorf("%q: %v %v", text, p, err)
		}
	}
}
