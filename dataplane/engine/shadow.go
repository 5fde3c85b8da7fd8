package engine

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/route"
)

// shadow is a copy of a request, for another cluster (request_mirror_policies).
// Nobody waits for it, and its response is read and forgotten; it ends by its
// response, by its route's timeout, or when the request that it is a copy of breaks
// off. What the copy's server does not take as fast as the client sends is kept, up
// to maxBehind; a copy that falls behind further is given up, and the request is not
// held up.
type shadow struct {
	errand
	next *shadow // of the same request

	out   []byte // of the body, not taken yet
	ended bool   // nothing comes behind
	tail  []message.Field
}

// maxBehind is how much of a body a copy may be behind, in bytes.
const maxBehind = 256 << 10

// mirror sends the copies of the request that its route wants. The request is as
// its own upstream gets it, but for its host.
func (s *stream) mirror() {
	for i := range s.route.Mirrors {
		m := &s.route.Mirrors[i]
		if !m.Takes(s.fs.Random) || s.req.upgrade != "" {
			continue
		}
		c := &shadow{next: s.shadows}
		c.w, c.timer.owner = s.w, c
		c.req = copyOf(s.req.Request)
		if m.Suffix {
			c.req.Authority = shadowHost(c.req.Authority)
		}
		c.out, c.ended = slices.Clone(s.retry.body), s.d.bodyDone()
		if c.ended {
			c.tail = copyFields(s.d.trailers())
		}
		s.shadows = c
		s.w.shadows[c] = true
		c.begin(s, &m.Route)
	}
}

func (c *shadow) begin(of *stream, to *route.Entry) {
	s := &c.stream
	s.init(c.w, c, &aloof, of.view.aside, requestHead{
		Request: &c.req, framing: of.req.framing, length: of.req.length, protocol: of.req.protocol,
	})
	s.route = to
	s.armTimer()
	s.dispatch()
	c.run()
}

// feed gives the copies a piece of the request's body; last: it was the last.
func (s *stream) feed(piece []byte, last bool) {
	for c := s.shadows; c != nil; c = c.next {
		switch {
		case c.over:
			continue
		case len(c.out)+len(piece) > maxBehind:
			c.cut()
			continue
		}
		c.out = append(c.out, piece...)
		if last {
			c.ended, c.tail = true, copyFields(s.d.trailers())
		}
		c.again()
	}
}

// leaveShadows lets the copies go on alone; those that have not got all of their
// request end with it.
func (s *stream) leaveShadows() {
	for c := s.shadows; c != nil; c = c.next {
		if !c.ended {
			c.cut()
		}
	}
	s.shadows = nil
}

// shadowHost is the host that a copy is for, as Envoy writes it: with "-shadow"
// before the port, if there is one.
func shadowHost(host string) string {
	name, port, ok := strings.Cut(host, ":")
	if !ok || strings.Contains(port, ":") {
		return host + "-shadow"
	}
	return name + "-shadow:" + port
}

// copyOf is a request that does not alias its codec's buffers.
func copyOf(r *message.Request) message.Request {
	return message.Request{
		Method: strings.Clone(r.Method), Scheme: r.Scheme, Authority: strings.Clone(r.Authority), Target: strings.Clone(r.Target),
		Fields: copyFields(r.Fields), TakesTrailers: r.TakesTrailers,
	}
}

func copyFields(fields []message.Field) []message.Field {
	out := slices.Clone(fields)
	for i := range out {
		out[i].Name, out[i].Value = strings.Clone(out[i].Name), strings.Clone(out[i].Value)
	}
	return out
}

func (c *shadow) end() {
	if !c.over {
		c.over = true
		c.out, c.tail = nil, nil
		c.w.timers.drop(&c.timer)
		delete(c.w.shadows, c)
	}
}

func (c *shadow) readBody(max int) ([]byte, bool, ioState) {
	if len(c.out) == 0 && !c.ended {
		return nil, false, ioAgain
	}
	p := c.out[:min(len(c.out), max)]
	c.out = c.out[len(p):]
	return p, c.bodyDone(), ioOK
}

func (c *shadow) bodyDone() bool { return c.ended && len(c.out) == 0 }

func (c *shadow) trailers() []message.Field { return c.tail }

func (c *shadow) sendHead(*message.Response, message.Framing, int64, bool) {}

func (c *shadow) sendBody([]byte, bool) ioState { return ioOK }

func (c *shadow) sendEnd([]message.Field) {}

func (c *shadow) drop() { c.cut() }

// cut ends a copy before its time.
func (c *shadow) cut() {
	c.stream.cancel("", "")
	c.end()
}

func (c *shadow) leaveBody() { c.out, c.ended = nil, true }

func (c *shadow) endExchange() { c.end() }

var _ downstream = (*shadow)(nil)
