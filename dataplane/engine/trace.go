package engine

import (
	"encoding/binary"
	"time"

	"github.com/meshc/meshc/dataplane/snapshot"
	"github.com/meshc/meshc/dataplane/telemetry"
	"github.com/meshc/meshc/dataplane/tracecontext"
)

// traceTarget is what a chain does about spans.
type traceTarget struct {
	conf  *snapshot.Tracing
	spans *telemetry.Spans
	sink  *telemetry.Sink
}

// trace is what a stream knows of its trace. A sidecar has one span for what it
// does, of kind server beside the server and of kind client beside the client, where
// each further attempt has one of its own beside it; an edge has one for what the
// client has asked for, and below it one for each attempt.
type trace struct {
	in       tracecontext.Context
	id       [16]byte
	sampled  bool
	top      [8]byte // of the edge's own span
	span     [8]byte // of the attempt
	start    int64   // of the attempt
	attempts int     // that have begun
	status   int     // of the attempt's answer; 0: none
	flag     string  // of the attempt's failure
}

// beginTrace finds out which trace the request belongs to.
func (s *stream) beginTrace() {
	t, conf := &s.trace, s.chain.trace.conf
	t.in = incoming(s, conf)
	t.id = t.in.Trace
	if !t.in.Valid {
		s.w.drawID(t.id[:8])
		s.w.drawID(t.id[8:])
	}
	if t.sampled = t.in.Sampled; !t.in.Decided {
		t.sampled = s.w.draw()%1_000_000 < uint64(conf.Millionths)
	}
	s.w.drawID(t.top[:])
	t.span, t.start = t.top, s.w.now
}

func incoming(s *stream, conf *snapshot.Tracing) tracecontext.Context {
	if !conf.Zipkin {
		return tracecontext.FromW3C(s.req.Fields)
	}
	c := tracecontext.FromB3(s.req.Fields)
	if !c.Valid && !c.Decided && conf.W3C {
		c = tracecontext.FromW3C(s.req.Fields)
	}
	return c
}

// drawID fills an ID, which is not all zeros.
func (w *worker) drawID(id []byte) { binary.BigEndian.PutUint64(id, w.draw()|1) }

// traceAttempt begins the span of the next attempt, and says in the request's
// headers which it is.
func (s *stream) traceAttempt() {
	t, conf := &s.trace, s.chain.trace.conf
	if t.attempts > 0 {
		s.endAttempt()
	}
	if t.attempts > 0 || conf.Edge {
		s.w.drawID(t.span[:])
		t.start, t.status, t.flag = s.w.now, 0, ""
	}
	t.attempts++
	out := tracecontext.Outgoing{Trace: t.id, Short: t.in.Short, Span: t.span, Sampled: t.sampled}
	out.Parent, out.HasParent = s.attemptParent()
	if !conf.Zipkin || conf.W3C {
		s.req.Fields = out.ToW3C(s.req.Fields)
	}
	if conf.Zipkin {
		s.req.Fields = out.ToB3(s.req.Fields)
	}
}

// attemptParent is what the span of an attempt stands below: the edge's own, the
// sender's, or that of the first attempt where nobody has sent one.
func (s *stream) attemptParent() (id [8]byte, ok bool) {
	t := &s.trace
	switch {
	case s.chain.trace.conf.Edge:
		return t.top, true
	case t.in.Valid:
		return t.in.Span, true
	}
	return t.top, t.span != t.top
}

// endAttempt writes the span of an attempt that another follows.
func (s *stream) endAttempt() {
	if !s.trace.sampled {
		return
	}
	r := s.record(s.trace.status, time.Duration(s.w.now-s.trace.start))
	r.Flags = s.trace.flag
	s.writeAttempt(&r)
}

func (s *stream) writeAttempt(r *telemetry.Record) {
	t := &s.trace
	span := telemetry.Span{Trace: t.id, Short: t.in.Short, ID: t.span, State: t.in.State, Kind: telemetry.ClientSpan, Record: r, Upstream: true}
	if !s.chain.trace.conf.Edge {
		span.Kind, span.Upstream = s.spanKind(), false
	}
	span.Parent, span.HasParent = s.attemptParent()
	span.Resent = max(t.attempts-1, 0)
	s.w.logs.batch(s.w, s.chain.trace.sink).AddSpan(s.chain.trace.spans, &span)
}

func (s *stream) spanKind() telemetry.SpanKind {
	if s.chain.http.Direction == "outbound" {
		return telemetry.ClientSpan
	}
	return telemetry.ServerSpan
}

// endTrace writes the spans that are left at the end of the stream.
func (s *stream) endTrace(status int, took time.Duration) {
	t := &s.trace
	if !t.sampled {
		return
	}
	edge := s.chain.trace.conf.Edge
	if !edge || t.attempts > 0 {
		r := s.record(status, time.Duration(s.w.now-t.start))
		s.writeAttempt(&r)
	}
	if edge {
		r := s.record(status, took)
		span := telemetry.Span{Trace: t.id, Short: t.in.Short, ID: t.top, Parent: t.in.Span, HasParent: t.in.Valid, State: t.in.State, Kind: s.spanKind(), Record: &r}
		s.w.logs.batch(s.w, s.chain.trace.sink).AddSpan(s.chain.trace.spans, &span)
	}
}
