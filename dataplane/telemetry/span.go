package telemetry

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/snapshot"
)

// SpanKind is OTLP's.
type SpanKind uint8

// Kinds of spans.
const (
	ServerSpan SpanKind = 2
	ClientSpan SpanKind = 3
)

// Span is one finished span. Its strings may alias connection buffers.
type Span struct {
	Trace      [16]byte
	Short      bool // the trace has an ID of 64 bits
	ID, Parent [8]byte
	HasParent  bool
	State      string // tracestate
	Kind       SpanKind
	Record     *Record
	Resent     int  // attempts before this one
	Upstream   bool // it is about an attempt, and not about what the client has asked for
}

// Spans writes spans in the form of one collector.
type Spans struct {
	zipkin        bool
	node, service string
	tags          []snapshot.TraceTag
}

// NewSpans makes them as t says; node is the proxy's node ID, service how Zipkin
// calls whose proxy it is.
func NewSpans(t *snapshot.Tracing, node, service string) *Spans {
	return &Spans{zipkin: t.Zipkin, node: node, service: service, tags: t.Tags}
}

// Append writes a span; buf is there for what has to be made first, and is given
// back.
func (f *Spans) Append(dst, buf []byte, s *Span) (out, used []byte) {
	if f.zipkin {
		return f.appendZipkin(dst, s), buf
	}
	buf = f.appendOTLP(buf[:0], s)
	return appendMessage(dst, 2, buf), buf
}

func (f *Spans) appendOTLP(b []byte, s *Span) []byte {
	r := s.Record
	trace := s.Trace[:]
	b = appendMessage(b, 1, trace)
	b = appendMessage(b, 2, s.ID[:])
	if s.State != "" {
		b = appendText(b, 3, valid(s.State))
	}
	if s.HasParent {
		b = appendMessage(b, 4, s.Parent[:])
	}
	b = appendText(b, 5, s.name())
	b = appendNumber(b, 6, uint64(s.Kind))
	b = appendFixed(b, 7, uint64(r.Start.UnixNano()))
	b = appendFixed(b, 8, uint64(r.Start.Add(r.Duration).UnixNano()))
	f.eachTag(s, func(name string, parts ...string) {
		b = appendAttribute(b, 9, name, parts...)
	})
	if s.failed() {
		b = appendMessage(b, 15, appendNumber(nil, 3, 2)) // STATUS_CODE_ERROR
	}
	return b
}

func (f *Spans) appendZipkin(b []byte, s *Span) []byte {
	r := s.Record
	trace := s.Trace[:]
	if s.Short {
		trace = trace[8:]
	}
	b = hex.AppendEncode(append(b, `,{"traceId":"`...), trace)
	b = hex.AppendEncode(append(b, `","id":"`...), s.ID[:])
	if s.HasParent {
		b = hex.AppendEncode(append(b, `","parentId":"`...), s.Parent[:])
	}
	b = append(append(b, `","kind":"`...), s.kindName()...)
	b = strconv.AppendInt(append(b, `","timestamp":`...), r.Start.UnixMicro(), 10)
	b = strconv.AppendInt(append(b, `,"duration":`...), int64(max(r.Duration/time.Microsecond, 1)), 10)
	b = appendEscaped(append(b, `,"localEndpoint":{"serviceName":"`...), f.service)
	b = appendEscaped(append(b, `"},"name":"`...), s.name())
	b = append(b, `","tags":{`...)
	first := true
	f.eachTag(s, func(name string, parts ...string) {
		if !first {
			b = append(b, ',')
		}
		first = false
		b = appendEscaped(append(b, '"'), name)
		b = append(b, `":"`...)
		for _, p := range parts {
			b = appendEscaped(b, p)
		}
		b = append(b, '"')
	})
	return append(b, `}}`...)
}

func (s *Span) kindName() string {
	if s.Kind == ClientSpan {
		return "CLIENT"
	}
	return "SERVER"
}

// name is Envoy's: "ingress", or "egress" and the host.
func (s *Span) name() string {
	if s.Kind != ClientSpan {
		return "ingress"
	}
	return "egress " + valid(s.Record.Request.Authority)
}

// failed is Envoy's: no response, or one of the server's own failures.
func (s *Span) failed() bool { return s.Record.Status == 0 || s.Record.Status >= 500 }

// eachTag gives what a span says: Envoy's tags, the route, and what the mesh adds.
func (f *Spans) eachTag(s *Span, tag func(name string, parts ...string)) {
	r := s.Record
	q := r.Request
	tag("component", "proxy")
	tag("node_id", f.node)
	if id, ok := message.Get(q.Fields, "x-request-id"); ok {
		tag("guid:x-request-id", valid(id))
	}
	tag("http.url", valid(q.Scheme), "://", valid(q.Authority), valid(q.Target))
	tag("http.method", q.Method)
	tag("http.protocol", r.Protocol.String())
	agent, ok := message.Get(q.Fields, "user-agent")
	if !ok {
		agent = "-"
	}
	tag("user_agent", valid(agent))
	if s.Upstream {
		tag("peer.address", r.UpstreamHost)
	} else {
		tag("peer.address", withoutPort(r.Peer.Remote))
	}
	tag("request_size", strconv.FormatInt(r.BytesReceived, 10))
	tag("response_size", strconv.FormatInt(r.BytesSent, 10))
	tag("http.status_code", strconv.Itoa(r.Status))
	tag("response_flags", orDash(r.Flags))
	if r.UpstreamCluster != "" {
		tag("upstream_cluster", r.UpstreamCluster)
		tag("upstream_cluster.name", r.UpstreamCluster)
	}
	if r.Route != nil && r.Route.Name != "" {
		tag("route", r.Route.Name)
	}
	if s.Resent > 0 {
		tag("http.request.resend_count", strconv.Itoa(s.Resent))
	}
	if s.failed() {
		tag("error", "true")
	}
	f.ownTags(q, tag)
}

func (f *Spans) ownTags(q *message.Request, tag func(name string, parts ...string)) {
	for _, t := range f.tags {
		value := t.Value
		if t.Header != "" {
			if v, ok := message.Get(q.Fields, t.Header); ok {
				value = valid(v)
			}
		}
		if value != "" {
			tag(t.Name, value)
		}
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// valid is s without what is not UTF-8, which OTLP's texts must be.
func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
