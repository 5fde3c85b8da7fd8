package engine

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	logsv1 "go.opentelemetry.io/proto/otlp/logs/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/dataplane/route"
	"github.com/meshc/meshc/dataplane/snapshot"
)

const collectorName = "outbound|4317||otel"

// otel is a collector of OTLP that keeps what it gets.
type otel struct {
	mu    sync.Mutex
	spans []*tracev1.Span
	logs  []*logsv1.LogRecord
	names map[string]bool // of services
}

func (o *otel) export(_ any, s grpc.ServerStream) error {
	var raw []byte
	if err := s.RecvMsg(&raw); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch method, _ := grpc.MethodFromServerStream(s); {
	case strings.Contains(method, "TraceService"):
		var data tracev1.TracesData
		if err := proto.Unmarshal(raw, &data); err != nil {
			return err
		}
		for _, r := range data.ResourceSpans {
			o.names[r.Resource.Attributes[0].Value.GetStringValue()] = true
			o.spans = append(o.spans, r.ScopeSpans[0].Spans...)
		}
	default:
		var data logsv1.LogsData
		if err := proto.Unmarshal(raw, &data); err != nil {
			return err
		}
		for _, r := range data.ResourceLogs {
			o.logs = append(o.logs, r.ScopeLogs[0].LogRecords...)
		}
	}
	return s.SendMsg(&[]byte{})
}

type bytesCodec struct{}

func (bytesCodec) Name() string                  { return "bytes" }
func (bytesCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (bytesCodec) Unmarshal(raw []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), raw...)
	return nil
}

func startOtel(t *testing.T) (*otel, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &otel{names: map[string]bool{}}
	s := grpc.NewServer(grpc.ForceServerCodec(bytesCodec{}), grpc.UnknownServiceHandler(o.export))
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	return o, l.Addr().String()
}

// wait until there are n spans, and give them.
func (o *otel) wait(t *testing.T, n int) []*tracev1.Span {
	t.Helper()
	eventually(t, "spans", func() bool { o.mu.Lock(); defer o.mu.Unlock(); return len(o.spans) >= n })
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.spans) != n {
		t.Fatalf("%d spans, want %d: %v", len(o.spans), n, o.spans)
	}
	return o.spans
}

func tagsOf(s *tracev1.Span) map[string]string {
	out := map[string]string{}
	for _, kv := range s.Attributes {
		out[kv.Key] = kv.Value.GetStringValue()
	}
	return out
}

// traced is a mesh with a collector.
func traced(at string, endpoints ...string) *mesh {
	m := newMesh(endpoints...)
	m.chain.HTTP.Direction = "outbound"
	m.config.Clusters[collectorName] = &snapshot.Cluster{Name: collectorName, Digest: "1", Protocol: snapshot.UpstreamHTTP2, Endpoints: endpointsOf(at)}
	m.chain.HTTP.Tracing = &snapshot.Tracing{
		Collector: snapshot.Collector{Cluster: collectorName, Authority: "otel.test"}, Service: "front.edge", Millionths: 1_000_000,
		Tags: []snapshot.TraceTag{{Name: "user", Header: "x-user", Value: "nobody"}, {Name: "empty", Header: "x-empty"}},
	}
	return m
}

func TestEachAttemptHasASpan(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	app := backend(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if seen = append(seen, r.Header.Get("traceparent")); len(seen) == 1 {
			w.WriteHeader(503)
		}
	})
	o, at := startOtel(t)
	m := traced(at, app)
	m.entry.Retry = &route.Retry{On: route.Retry5xx, Attempts: 2}
	e := start(t, m, own("v1"))
	req, _ := http.NewRequest("GET", "http://"+addrOf(t, e, "in")+"/x?y=1", nil)
	req.Header.Set("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	req.Header.Set("tracestate", "a=1")
	req.Header.Set("x-user", "jason")
	resp, err := client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	spans := o.wait(t, 2)
	for i, s := range spans {
		if s.Kind != tracev1.Span_SPAN_KIND_CLIENT || s.TraceState != "a=1" || hexOf(s.TraceId) != "4bf92f3577b34da6a3ce929d0e0e4736" || hexOf(s.ParentSpanId) != "00f067aa0ba902b7" {
			t.Errorf("span %d: %v", i, s)
		}
		if want := "00-4bf92f3577b34da6a3ce929d0e0e4736-" + hexOf(s.SpanId) + "-01"; seen[i] != want {
			t.Errorf("attempt %d was sent with %s, want %s", i, seen[i], want)
		}
		if s.EndTimeUnixNano < s.StartTimeUnixNano {
			t.Errorf("span %d ends before it begins", i)
		}
	}
	first, last := tagsOf(spans[0]), tagsOf(spans[1])
	if first["http.status_code"] != "503" || first["error"] != "true" || spans[0].GetStatus().GetCode() != tracev1.Status_STATUS_CODE_ERROR {
		t.Errorf("first attempt: %v", first)
	}
	if last["http.status_code"] != "200" || last["http.request.resend_count"] != "1" || last["error"] != "" || last["user"] != "jason" ||
		!strings.HasSuffix(last["http.url"], "/x?y=1") || last["route"] != "all" || last["upstream_cluster"] != clusterName {
		t.Errorf("last attempt: %v", last)
	}
	if _, ok := last["empty"]; ok || !o.names["front.edge"] {
		t.Errorf("tags %v, services %v", last, o.names)
	}
}

func TestWhoSendsATraceDecidesAboutIt(t *testing.T) {
	app := backend(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Header.Get("traceparent")) })
	o, at := startOtel(t)
	m := traced(at, app)
	m.chain.HTTP.Tracing.Millionths = 0
	e := start(t, m)
	ask := func(parent string) string {
		req, _ := http.NewRequest("GET", "http://"+addrOf(t, e, "in")+"/", nil)
		if parent != "" {
			req.Header.Set("traceparent", parent)
		}
		resp, err := client(t).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return string(body)
	}
	if got := ask(""); !strings.HasSuffix(got, "-00") {
		t.Errorf("a trace that begins here goes on with %q", got)
	}
	if got := ask("00-5bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"); !strings.HasSuffix(got, "-00") {
		t.Errorf("a trace that is not kept goes on with %q", got)
	}
	if got := ask("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"); !strings.HasSuffix(got, "-01") {
		t.Errorf("a trace that is kept goes on with %q", got)
	}
	if s := o.wait(t, 1)[0]; hexOf(s.TraceId)[:2] != "4b" {
		t.Errorf("%v", s)
	}
}

func TestAnEdgeHasASpanOfItsOwn(t *testing.T) {
	o, at := startOtel(t)
	m := traced(at, backend(t, func(http.ResponseWriter, *http.Request) {}))
	m.chain.HTTP.Direction, m.chain.HTTP.Tracing.Edge = "inbound", true
	e := start(t, m)
	get(t, client(t), "http://"+addrOf(t, e, "in")+"/")
	spans := o.wait(t, 2)
	attempt, top := spans[0], spans[1]
	if top.Kind != tracev1.Span_SPAN_KIND_SERVER || len(top.ParentSpanId) != 0 || attempt.Kind != tracev1.Span_SPAN_KIND_CLIENT ||
		hexOf(attempt.ParentSpanId) != hexOf(top.SpanId) || hexOf(attempt.TraceId) != hexOf(top.TraceId) {
		t.Errorf("%v, %v", top, attempt)
	}
}

func TestZipkin(t *testing.T) {
	got := make(chan []map[string]any, 1)
	at := backend(t, func(w http.ResponseWriter, r *http.Request) {
		var list []map[string]any
		if err := json.NewDecoder(r.Body).Decode(&list); err != nil || r.URL.Path != "/api/v2/spans" || r.Host != "zipkin.test" {
			t.Errorf("%s %s: %v", r.Host, r.URL, err)
		}
		got <- list
		w.WriteHeader(http.StatusAccepted)
	})
	sent := make(chan http.Header, 1)
	m := traced(at, backend(t, func(_ http.ResponseWriter, r *http.Request) { sent <- r.Header }))
	m.config.Clusters[collectorName].Protocol = snapshot.UpstreamHTTP1
	tr := m.chain.HTTP.Tracing
	tr.Zipkin, tr.W3C, tr.Path, tr.Authority, tr.Millionths = true, true, "/api/v2/spans", "zipkin.test", 0
	e := start(t, m, own("v1"))
	req, _ := http.NewRequest("GET", "http://"+addrOf(t, e, "in")+"/", nil)
	req.Header.Set("b3", "463ac35c9f6413ad48485a3953bb6124-a2fb4a1d1a96d312-1")
	req.Header.Set("user-agent", `quote " and \`)
	resp, err := client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	h, span := <-sent, (<-got)[0]
	if h.Get("x-b3-traceid") != span["traceId"] || h.Get("x-b3-spanid") != span["id"] || h.Get("x-b3-parentspanid") != "a2fb4a1d1a96d312" || h.Get("x-b3-sampled") != "1" || h.Get("b3") != "" ||
		!strings.Contains(h.Get("traceparent"), span["id"].(string)) {
		t.Errorf("headers %v", h)
	}
	tags := span["tags"].(map[string]any)
	if span["traceId"] != "463ac35c9f6413ad48485a3953bb6124" || span["parentId"] != "a2fb4a1d1a96d312" || span["kind"] != "CLIENT" ||
		span["localEndpoint"].(map[string]any)["serviceName"] != "edge/front" || tags["user_agent"] != `quote " and \` {
		t.Errorf("%v", span)
	}
}

func TestLogByOTLP(t *testing.T) {
	o, at := startOtel(t)
	m := traced(at, backend(t, func(http.ResponseWriter, *http.Request) {}))
	m.chain.HTTP.Tracing = nil
	m.chain.HTTP.AccessLogs = []snapshot.AccessLog{{
		OTLP:       &snapshot.OTLPLog{Collector: snapshot.Collector{Cluster: collectorName}, Name: "meshc", Resource: map[string]string{"service.name": "front"}},
		TextFormat: "%REQ(:METHOD)% %RESPONSE_CODE%", JSONFormat: map[string]string{"path": "%REQ(:PATH)%", "none": "%REQ(X-NONE)%"},
	}}
	e := start(t, m)
	get(t, client(t), "http://"+addrOf(t, e, "in")+"/a")
	eventually(t, "a record", func() bool { o.mu.Lock(); defer o.mu.Unlock(); return len(o.logs) == 1 })
	o.mu.Lock()
	defer o.mu.Unlock()
	r := o.logs[0]
	if r.Body.GetStringValue() != "GET 200" || len(r.Attributes) != 2 || r.Attributes[0].Value.GetStringValue() != "-" || r.Attributes[1].Value.GetStringValue() != "/a" || r.TimeUnixNano == 0 {
		t.Errorf("%v", r)
	}
	sample(t, e, "envoy_access_logs_open_telemetry_access_log_logs_written 1")
}

// A collector that is away costs spans, which are counted, and no request.
func TestACollectorThatIsAway(t *testing.T) {
	m := traced("127.0.0.1:1", backend(t, func(http.ResponseWriter, *http.Request) {}))
	e := start(t, m)
	for range 3 {
		if status, _ := get(t, client(t), "http://"+addrOf(t, e, "in")+"/"); status != 200 {
			t.Fatalf("status %d", status)
		}
	}
	sample(t, e, "envoy_tracing_opentelemetry_spans_dropped 3")
}

// A tracestate that is no UTF-8 goes on as it came; the collector, which would refuse
// the whole batch for it, gets one that is.
func TestATraceStateThatIsNoText(t *testing.T) {
	sent := make(chan string, 1)
	o, at := startOtel(t)
	m := traced(at, backend(t, func(_ http.ResponseWriter, r *http.Request) { sent <- r.Header.Get("tracestate") }))
	e := start(t, m)
	req, _ := http.NewRequest("GET", "http://"+addrOf(t, e, "in")+"/", nil)
	req.Header.Set("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	req.Header.Set("tracestate", "a=\xff")
	resp, err := client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := <-sent; got != "a=\xff" {
		t.Errorf("the server gets %q", got)
	}
	if s := o.wait(t, 1)[0]; s.TraceState != "a=\uFFFD" {
		t.Errorf("the collector gets %q", s.TraceState)
	}
}

// Collectors that hang cost the time of one when the engine closes.
func TestCollectorsThatHang(t *testing.T) {
	at := rawBackend(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	m := traced(at, backend(t, func(http.ResponseWriter, *http.Request) {}))
	m.chain.HTTP.Tracing = nil
	for _, name := range []string{"a", "b", "c", "d"} {
		m.chain.HTTP.AccessLogs = append(m.chain.HTTP.AccessLogs, snapshot.AccessLog{
			OTLP: &snapshot.OTLPLog{Collector: snapshot.Collector{Cluster: collectorName}, Name: name}, TextFormat: "x",
		})
	}
	e := start(t, m)
	get(t, client(t), "http://"+addrOf(t, e, "in")+"/")
	began := time.Now()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("Close took %v", took)
	}
	sample(t, e, "envoy_access_logs_open_telemetry_access_log_logs_dropped 4")
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	var out strings.Builder
	for _, c := range b {
		out.WriteByte(digits[c>>4])
		out.WriteByte(digits[c&15])
	}
	return out.String()
}
