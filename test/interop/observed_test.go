package interop

import (
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	testgrpc "google.golang.org/grpc/interop/grpc_testing"

	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/meshc/meshc/compiler/model"
)

// TestObserved: stock Envoy sends the spans and the logs that the mesh says to
// where it says, and injects faults into the requests that they are for.
func TestObserved(t *testing.T) {
	b := newBed(t, compileFS(t, os.DirFS("testdata/observed")))
	c := newCollected(t)
	b.mesh.External(ref("otel")).Endpoints = []string{c.otlp()}
	app := answering(t)
	for service, at := range map[string]string{"front": "", "shop": app, "calls": serveCalls(t), "web": "", "store": app, "zipkin": c.zipkin()} {
		b.sidecar(ref(service), "v1", envoy, at)
	}
	b.run()
	calls := func(from, to string) string {
		return b.placed[from+"-envoy"].Outbound[model.OutboundKey(ref(to), meshPort)]
	}
	t.Run("one trace over two hops by OTLP", func(t *testing.T) { otlpTraces(t, c, calls("front", "shop")) })
	t.Run("one trace over two hops by Zipkin", func(t *testing.T) { zipkinTraces(t, c, calls("web", "store")) })
	t.Run("log by OTLP", func(t *testing.T) { otlpLogs(t, c, calls("front", "shop")) })
	t.Run("status of gRPC", func(t *testing.T) {
		client := testgrpc.NewTestServiceClient(dialCalls(t, calls("front", "calls")))
		if _, err := client.EmptyCall(to(t, "v1"), &testgrpcEmpty{}); grpcstatus.Code(err) != codes.ResourceExhausted {
			t.Errorf("got %v, want ResourceExhausted", err)
		}
		if _, err := client.UnaryCall(to(t, "v1"), &testgrpc.SimpleRequest{}); err != nil {
			t.Errorf("a call that the fault does not match: %v", err)
		}
	})
	t.Run("callers", func(t *testing.T) {
		if got := fetch(t, calls("front", "store"), "/"); got.StatusCode != http.StatusTeapot {
			t.Errorf("the caller of the fault sees %d, want 418", got.StatusCode)
		}
		if got := fetch(t, calls("web", "store"), "/"); got.StatusCode != http.StatusOK {
			t.Errorf("another caller sees %d, want 200", got.StatusCode)
		}
	})
	front := b.proxies["front-envoy"]
	t.Run("bandwidth", func(t *testing.T) { thin(t, front, calls("front", "shop")) })
	t.Run("at most one at a time", func(t *testing.T) { held(t, front, calls("front", "shop")) })
	for _, x := range b.all() {
		x.refusedNothing()
	}
}

// bigBody takes 3 s at 8 KiB/s.
const bigBody = 24 << 10

// answering is an application that answers anything, /big with many bytes.
func answering(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/big") {
			_, _ = w.Write(make([]byte, bigBody))
		}
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// fetch makes one request; headers are names and values in turn.
func fetch(t *testing.T, at, path string, headers ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+at+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func otlpTraces(t *testing.T, c *collected, at string) {
	const kept, dropped = "4bf92f3577b34da6a3ce929d0e0e4736", "5bf92f3577b34da6a3ce929d0e0e4737"
	fetch(t, at, "/", "traceparent", "00-"+dropped+"-00f067aa0ba902b7-00")
	fetch(t, at, "/", "traceparent", "00-"+kept+"-00f067aa0ba902b7-01", "x-user", "jason")
	fetch(t, at, "/new")
	begun := c.span("span of a trace that the caller's proxy began", func(s span) bool {
		return s.service == "front.default" && s.kind == "client" && s.parent == "" && strings.HasSuffix(s.tags["http.url"], "/new")
	})
	c.span("span of the server in it", func(s span) bool {
		return s.service == "shop.default" && s.kind == "server" && s.trace == begun.trace && s.parent == begun.id
	})
	client := c.span("client's span", func(s span) bool { return s.trace == kept && s.service == "front.default" })
	server := c.span("server's span", func(s span) bool { return s.trace == kept && s.service == "shop.default" })
	if client.parent != "00f067aa0ba902b7" || server.parent != client.id || client.kind != "client" || server.kind != "server" {
		t.Errorf("client %+v, server %+v", client, server)
	}
	for _, s := range []span{client, server} {
		if s.tags["stage"] != "test" || s.tags["user"] != "jason" {
			t.Errorf("tags of %+v", s)
		}
	}
	if begun.tags["user"] != "nobody" {
		t.Errorf("tags of %+v", begun)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.ContainsFunc(c.spans, func(s span) bool { return s.trace == dropped }) {
		t.Error("a trace is kept that its sender does not keep")
	}
}

func zipkinTraces(t *testing.T, c *collected, at string) {
	const kept = "463ac35c9f6413ad48485a3953bb6124"
	fetch(t, at, "/unsampled")
	fetch(t, at, "/sampled", "x-b3-traceid", kept, "x-b3-spanid", "a2fb4a1d1a96d312", "x-b3-sampled", "1")
	client := c.span("client's span", func(s span) bool { return s.trace == kept && s.kind == "client" })
	server := c.span("server's span", func(s span) bool { return s.trace == kept && s.kind == "server" })
	if client.parent != "a2fb4a1d1a96d312" || server.parent != client.id || client.service != "default/web" || server.service != "default/store" {
		t.Errorf("client %+v, server %+v", client, server)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.ContainsFunc(c.spans, func(s span) bool { return strings.HasSuffix(s.tags["http.url"], "/unsampled") }) {
		t.Error("a trace is kept although none of those that begin here is")
	}
}

func otlpLogs(t *testing.T, c *collected, at string) {
	fetch(t, at, "/logged")
	for _, service := range []string{"front.default", "shop.default"} {
		r := c.record("record of "+service, func(r record) bool { return r.service == service && r.attributes["path"] == "/logged" })
		if r.attributes["status"] != "200" {
			t.Errorf("%+v", r)
		}
	}
}

// thin holds the rate by Envoy's own count and, loosely, by the clock.
func thin(t *testing.T, front *proxy, at string) {
	begin := time.Now()
	resp := fetch(t, at, "/big")
	n := 0
	for buf := make([]byte, 4<<10); ; {
		read, err := resp.Body.Read(buf)
		if n += read; err != nil {
			break
		}
	}
	if took := time.Since(begin); n != bigBody || took < time.Second {
		t.Errorf("%d bytes in %s, want %d at 8 KiB/s", n, took, bigBody)
	}
	if count := injected(front, "response_rl_injected"); count != "1" {
		t.Errorf("%s responses slowed down, want 1", count)
	}
}

// held: while the fault holds one request, another goes on.
func held(t *testing.T, front *proxy, at string) {
	done := make(chan int, 1)
	go func() {
		resp, err := http.Get("http://" + at + "/held")
		if err != nil {
			done <- 0
			return
		}
		resp.Body.Close()
		done <- resp.StatusCode
	}()
	for end := time.Now().Add(patience); injected(front, "active_faults") != "1"; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no request is held")
		}
	}
	if got := fetch(t, at, "/held").StatusCode; got != http.StatusOK || injected(front, "faults_overflow") != "1" {
		t.Errorf("status %d, %s over the bound", got, injected(front, "faults_overflow"))
	}
	if got := <-done; got != http.StatusOK {
		t.Errorf("the held request is answered with %d", got)
	}
}

// injected is a counter of the fault filter before shop.
func injected(x *proxy, counter string) string {
	for name, value := range x.stats("fault." + counter) {
		if strings.Contains(name, "shop") {
			return value
		}
	}
	return ""
}
