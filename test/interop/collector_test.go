package interop

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	logsv1 "go.opentelemetry.io/proto/otlp/logs/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// span is what a collector was sent, whichever way.
type span struct {
	service, kind     string // kind: client or server
	trace, id, parent string // hexadecimal
	tags              map[string]string
}

// record is one entry of a log that was sent by OTLP.
type record struct {
	service    string
	attributes map[string]string
}

// collected keeps what arrives until the test ends.
type collected struct {
	t       *testing.T
	mu      sync.Mutex
	changed chan struct{}
	spans   []span
	records []record
}

func newCollected(t *testing.T) *collected { return &collected{t: t, changed: make(chan struct{})} }

func (c *collected) add(spans []span, records []record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spans, c.records = append(c.spans, spans...), append(c.records, records...)
	close(c.changed)
	c.changed = make(chan struct{})
}

// wait until there is a span for which is holds.
func (c *collected) span(what string, is func(span) bool) span {
	c.t.Helper()
	return await(c, what, func() []span { return c.spans }, is)
}

func (c *collected) record(what string, is func(record) bool) record {
	c.t.Helper()
	return await(c, what, func() []record { return c.records }, is)
}

func await[T any](c *collected, what string, list func() []T, is func(T) bool) T {
	c.t.Helper()
	for timeout := time.After(patience); ; {
		c.mu.Lock()
		all, changed := list(), c.changed
		c.mu.Unlock()
		for _, one := range all {
			if is(one) {
				return one
			}
		}
		select {
		case <-changed:
		case <-timeout:
			c.t.Fatalf("no %s among %+v", what, all)
		}
	}
}

// otlp serves OTLP over gRPC, and gives its address.
func (c *collected) otlp() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	s := grpc.NewServer(grpc.ForceServerCodec(rawCodec{}), grpc.UnknownServiceHandler(c.export))
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	c.t.Cleanup(func() { s.Stop(); <-done })
	return l.Addr().String()
}

// rawCodec leaves messages as they are.
type rawCodec struct{}

func (rawCodec) Name() string                  { return "raw" }
func (rawCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (rawCodec) Unmarshal(raw []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), raw...)
	return nil
}

// export reads a request, which has the form of the data that it brings.
func (c *collected) export(_ any, s grpc.ServerStream) error {
	var raw []byte
	if err := s.RecvMsg(&raw); err != nil {
		return err
	}
	method, _ := grpc.MethodFromServerStream(s)
	switch method {
	case "/opentelemetry.proto.collector.trace.v1.TraceService/Export":
		var data tracev1.TracesData
		if err := proto.Unmarshal(raw, &data); err != nil {
			return err
		}
		c.add(otlpSpans(&data), nil)
	case "/opentelemetry.proto.collector.logs.v1.LogsService/Export":
		var data logsv1.LogsData
		if err := proto.Unmarshal(raw, &data); err != nil {
			return err
		}
		c.add(nil, otlpRecords(&data))
	default:
		return fmt.Errorf("a collector has no %s", method)
	}
	return s.SendMsg(&[]byte{})
}

func otlpSpans(data *tracev1.TracesData) []span {
	var out []span
	for _, r := range data.GetResourceSpans() {
		service := texts(r.GetResource().GetAttributes())["service.name"]
		for _, in := range r.GetScopeSpans() {
			for _, s := range in.GetSpans() {
				out = append(out, span{
					service: service, kind: strings.ToLower(strings.TrimPrefix(s.GetKind().String(), "SPAN_KIND_")),
					trace: fmt.Sprintf("%x", s.GetTraceId()), id: fmt.Sprintf("%x", s.GetSpanId()), parent: fmt.Sprintf("%x", s.GetParentSpanId()),
					tags: texts(s.GetAttributes()),
				})
			}
		}
	}
	return out
}

func otlpRecords(data *logsv1.LogsData) []record {
	var out []record
	for _, r := range data.GetResourceLogs() {
		service := texts(r.GetResource().GetAttributes())["service.name"]
		for _, in := range r.GetScopeLogs() {
			for _, l := range in.GetLogRecords() {
				out = append(out, record{service, texts(l.GetAttributes())})
			}
		}
	}
	return out
}

func texts(list []*commonv1.KeyValue) map[string]string {
	out := map[string]string{}
	for _, kv := range list {
		out[kv.GetKey()] = kv.GetValue().GetStringValue()
	}
	return out
}

// zipkin serves POST /api/v2/spans, and gives its address.
func (c *collected) zipkin() string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		var list []struct {
			TraceID, ID, ParentID, Kind string
			LocalEndpoint               struct{ ServiceName string }
			Tags                        map[string]string
		}
		if err == nil {
			err = json.Unmarshal(raw, &list)
		}
		if err != nil || r.URL.Path != "/api/v2/spans" || r.Host != "zipkin.default.svc.cluster.local" {
			c.t.Errorf("%s %s%s: %v", r.Method, r.Host, r.URL.Path, err)
		}
		var out []span
		for _, s := range list {
			out = append(out, span{s.LocalEndpoint.ServiceName, strings.ToLower(s.Kind), s.TraceID, s.ID, s.ParentID, s.Tags})
		}
		w.WriteHeader(http.StatusAccepted)
		c.add(out, nil)
	}))
	c.t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}
