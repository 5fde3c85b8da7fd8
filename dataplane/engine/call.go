package engine

import (
	"encoding/binary"
	"strconv"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/route"
	"github.com/meshc/meshc/dataplane/snapshot"
)

// A call is a request of the proxy's own: what a filter asks a service about a
// client's request. It is the downstream of a stream like any other, so that
// endpoints, connections, TLS, limits, outliers and statistics of the service's
// cluster are those of every request to it, on the loop of the request that it
// is about; no goroutine waits.
//
//	client's stream        call                        its own stream
//	phaseFilters ──put──▶  message, deadline ──────▶   phaseConnect, phaseExchange
//	phaseHold   (where the question is about the body too: it is read first)
//	phaseAsk    ◀─answer── code and message  ◀──────   phaseOver
//	phaseFilters, with the verdict of the answer
//
// Who owns it: the client's stream, alone, from put to heard. It ends the call
// when it ends itself (the client has gone, its idle time or its duration is
// over: release); then the call's stream is cancelled and nothing comes back.
// A call that has ended queues the client's stream for the next turn of the loop
// and never runs it, because it may end inside of anything.
//
// Time: a call has the time of its service, from the question on, connecting
// included; the client's stream has its idle time and its duration, and no
// request timeout yet, which begins behind the filters. Back-pressure: while the
// filter waits nothing is read of the body but what the question is about; the
// rest stays in the kernel, or behind the stream's window. An answer is bounded
// by maxAnswer. Configuration: the call has the clusters that the client's stream
// began with, as its own attempts will. Drain: a client's stream that waits is in
// flight, and its connection with it.
type call struct {
	errand
	asker *stream // nil: nobody waits any more

	out  []byte // what is left of the message
	in   []byte // of the response's body
	code int    // the grpc-status; below 0: none has come
	good bool   // the status of the response's head is 200
}

// maxAnswer bounds what a service answers, in bytes.
const maxAnswer = 1 << 20

// grpcFrame is the length of what stands before each message.
const grpcFrame = 5

// aloof is who a call is from.
var aloof peerInfo

// newAside is the filter chain of calls, which has no filters.
func newAside(v *view) *chainView {
	return &chainView{view: v, http: &snapshot.HTTP{}, stream: never}
}

// newCall begins to ask to, for s. The answer comes to s.answered, not before
// newCall has returned.
func (w *worker) newCall(s *stream, to *filter.Service, text []byte) *call {
	c := &call{errand: errand{w: w}, asker: s, code: -1}
	c.timer.owner = c
	c.out = make([]byte, grpcFrame, grpcFrame+len(text))
	binary.BigEndian.PutUint32(c.out[1:], uint32(len(text)))
	c.out = append(c.out, text...)
	c.req = message.Request{
		Method: "POST", Scheme: "http", Authority: to.Authority, Target: to.Path, TakesTrailers: true,
		Fields: append(make([]message.Field, 0, 4), message.Field{Name: "content-type", Value: grpcType}),
	}
	if to.Timeout != "" {
		c.req.Fields = append(c.req.Fields, message.Field{Name: "grpc-timeout", Value: to.Timeout})
	}
	c.begin(s.view, to.Route)
	return c
}

func (c *call) begin(v *view, to *route.Entry) {
	s := &c.stream
	s.init(c.w, c, &aloof, v.aside, requestHead{Request: &c.req, framing: message.Chunked, protocol: message.HTTP2})
	s.route = to
	s.requestDone() // the time of a call runs from the question on
	s.dispatch()
	c.run()
}

// abandon ends a call whose answer nobody waits for.
func (c *call) abandon() {
	c.asker = nil
	c.stream.cancel("", "")
	c.end()
}

// end is the end of a call, however it has come.
func (c *call) end() {
	if c.over {
		return
	}
	c.over = true
	c.w.timers.drop(&c.timer)
	if s := c.asker; s != nil {
		s.d.again()
	}
}

// answer is how the call has ended.
func (c *call) answer() filter.Answer {
	if !c.good || c.code != 0 {
		return filter.Answer{Code: max(c.code, -1)}
	}
	// One message, of the length that it says, and not compressed: nobody has been
	// told that it may be.
	if len(c.in) < grpcFrame || c.in[0] != 0 || int(binary.BigEndian.Uint32(c.in[1:])) != len(c.in)-grpcFrame {
		return filter.Answer{Code: -1}
	}
	return filter.Answer{Message: c.in[grpcFrame:]}
}

// status takes down the grpc-status, which stands in the head of a response that
// is nothing else, and else in its trailers.
func (c *call) status(fields []message.Field) {
	v, ok := message.Get(fields, "grpc-status")
	if !ok {
		return
	}
	if n, err := strconv.ParseUint(v, 10, 16); err == nil {
		c.code = int(n)
	}
}

func (c *call) readBody(max int) ([]byte, bool, ioState) {
	p := c.out[:min(len(c.out), max)]
	c.out = c.out[len(p):]
	return p, len(c.out) == 0, ioOK
}

func (c *call) bodyDone() bool { return len(c.out) == 0 }

func (c *call) trailers() []message.Field { return nil }

func (c *call) sendHead(r *message.Response, _ message.Framing, _ int64, end bool) {
	c.good = r.Status == 200
	if end {
		c.status(r.Fields)
	}
}

func (c *call) sendBody(piece []byte, _ bool) ioState {
	if len(c.in)+len(piece) > maxAnswer+grpcFrame {
		return ioError
	}
	c.in = append(c.in, piece...)
	return ioOK
}

func (c *call) sendEnd(trailers []message.Field) { c.status(trailers) }

func (c *call) drop() { c.cut() }

// cut: the answer has broken off.
func (c *call) cut() {
	c.good = false
	c.stream.cancel("", "")
	c.end()
}

func (c *call) leaveBody() { c.out = nil }

func (c *call) endExchange() { c.end() }

var _ downstream = (*call)(nil)
