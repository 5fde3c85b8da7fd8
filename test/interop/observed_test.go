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

// TestObserved: both data planes send the spans and the logs that the mesh says to
// where it says, and inject a fault into the requests of the caller that it is for.
func TestObserved(t *testing.T) {
	for _, k := range kinds {
		t.Run(string(k), func(t *testing.T) { observed(t, k) })
	}
}

func observed(t *testing.T, k kind) {
	b := newBed(t, compileFS(t, os.DirFS("testdata/observed")))
	c := newCollected(t)
	b.mesh.External(ref("otel")).Endpoints = []string{c.otlp()}
	app := answering(t)
	for service, at := range map[string]string{"front": "", "shop": app, "web": "", "store": app, "zipkin": c.zipkin()} {
		b.sidecar(ref(service), "v1", k, at)
	}
	b.run()
	calls := b.calls(k)
	t.Run("one trace over two hops by OTLP", func(t *testing.T) { otlpTraces(t, c, calls("front", "shop")) })
	t.Run("one trace over two hops by Zipkin", func(t *testing.T) { zipkinTraces(t, c, calls("web", "store")) })
	t.Run("log by OTLP", func(t *testing.T) { otlpLogs(t, c, calls("front", "shop")) })
	t.Run("callers", func(t *testing.T) {
		if got := fetch(t, calls("front", "store"), "/"); got.StatusCode != http.StatusTeapot {
			t.Errorf("the caller of the fault sees %d, want 418", got.StatusCode)
		}
		if got := fetch(t, calls("web", "store"), "/"); got.StatusCode != http.StatusOK {
			t.Errorf("another caller sees %d, want 200", got.StatusCode)
		}
	})
	if k == meshc {
		t.Run("who calls whom", func(t *testing.T) { whoCallsWhom(t, b) })
	}
	for _, x := range b.all() {
		x.refusedNothing()
	}
}

// whoCallsWhom: both ends of a call tell the same, each as far as it can know.
func whoCallsWhom(t *testing.T, b *bed) {
	both := []string{
		`destination_workload="shop-v1"`, `destination_workload_namespace="default"`, `destination_service="shop.default.svc.cluster.local"`,
		`destination_service_name="shop"`, `destination_service_namespace="default"`, `destination_canonical_revision="v1"`,
		`destination_principal="` + b.mesh.Service(ref("shop")).SPIFFEID + `"`, `source_principal="` + b.mesh.Service(ref("front")).SPIFFEID + `"`,
		`source_workload_namespace="default"`, `source_canonical_service="front"`, `response_code="200"`, `request_protocol="http"`,
	}
	for service, wants := range map[string][]string{
		"front": append([]string{`reporter="source"`, `source_workload="front-v1"`, `connection_security_policy="unknown"`}, both...),
		"shop":  append([]string{`reporter="destination"`, `source_workload="front"`, `connection_security_policy="mutual_tls"`}, both...),
	} {
		found := false
		for name := range b.proxies[service+"-meshc"].stats("^istio_requests_total") {
			if !slices.ContainsFunc(wants, func(w string) bool { return !strings.Contains(name, w) }) {
				found = true
			}
		}
		if !found {
			t.Errorf("%s: none of %v says %v", service, b.proxies[service+"-meshc"].stats("^istio_requests_total"), wants)
		}
	}
}

// calls gives where the proxy of kind k of one service takes calls to another.
func (b *bed) calls(k kind) func(from, to string) string {
	return func(from, to string) string {
		return b.placed[from+"-"+string(k)].Outbound[model.OutboundKey(ref(to), meshPort)]
	}
}

// TestFaults: both data planes inject faults in terms of gRPC, into the rate of
// responses, and into so many requests at a time.
func TestFaults(t *testing.T) {
	for _, k := range kinds {
		t.Run(string(k), func(t *testing.T) { faulty(t, k) })
	}
}

func faulty(t *testing.T, k kind) {
	b := newBed(t, compileFS(t, os.DirFS("testdata/faulty")))
	for service, at := range map[string]string{"front": "", "shop": answering(t), "calls": serveCalls(t)} {
		b.sidecar(ref(service), "v1", k, at)
	}
	b.run()
	calls := b.calls(k)
	t.Run("status of gRPC", func(t *testing.T) {
		client := testgrpc.NewTestServiceClient(dialCalls(t, calls("front", "calls")))
		if _, err := client.EmptyCall(to(t, "v1"), &testgrpcEmpty{}); grpcstatus.Code(err) != codes.ResourceExhausted {
			t.Errorf("got %v, want ResourceExhausted", err)
		}
		if _, err := client.UnaryCall(to(t, "v1"), &testgrpc.SimpleRequest{}); err != nil {
			t.Errorf("a call that the fault does not match: %v", err)
		}
	})
	t.Run("bandwidth", func(t *testing.T) { thin(t, calls("front", "shop")) })
	t.Run("at most one at a time", func(t *testing.T) { held(t, calls("front", "shop")) })
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

// thin holds the rate, loosely, by the clock.
func thin(t *testing.T, at string) {
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
}

// held: while the fault holds one request, which is for 5 s, others go on; once it
// has gone, the next is held again.
func held(t *testing.T, at string) {
	const n = 4
	took := make(chan time.Duration, n)
	for range n {
		go func() {
			begin := time.Now()
			resp, err := http.Get("http://" + at + "/held")
			if err != nil {
				took <- 0
				return
			}
			resp.Body.Close()
			if took <- time.Since(begin); resp.StatusCode != http.StatusOK {
				t.Errorf("status %d", resp.StatusCode)
			}
		}()
	}
	slow := 0
	for range n {
		if <-took >= 5*time.Second {
			slow++
		}
	}
	if slow != 1 {
		t.Errorf("%d of %d are held, want 1", slow, n)
	}
	// A proxy counts a fault as gone when the stream is, which may be after the
	// client has the whole response.
	for range 50 {
		begin := time.Now()
		fetch(t, at, "/held")
		if time.Since(begin) >= 5*time.Second {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("the next is not held")
}
