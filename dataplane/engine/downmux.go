package engine

import (
	"github.com/meshc/meshc/dataplane/http2"
	"github.com/meshc/meshc/dataplane/message"
)

// dmux is a client's HTTP/2 connection, on the dconn that has accepted it.
type dmux struct {
	mux
	d        *dconn
	served   int    // requests
	noticed  bool   // the client has been told that the connection will end
	final    bool   // no new streams
	stuckAt  int64  // an incomplete frame has been there since
	unreadAt int64  // output waits, and the client has taken none since
	scheme   string // of the connection
}

// openMux makes d an HTTP/2 connection.
func (d *dconn) openMux() {
	h := &dmux{d: d, scheme: "http"}
	if d.tls != nil {
		h.scheme = "https"
	}
	conf := h2Defaults
	conf.Server = true
	conf.Limits = http2.Limits{HeadBytes: d.chain.limits.HeadBytes, Fields: d.chain.limits.Fields, TargetBytes: d.chain.limits.TargetBytes}
	d.chain.http.HTTP2.Apply(&conf)
	d.mux = h
	h.start(&d.sock, h, conf, h)
	if len(d.in.bytes()) > 0 {
		h.feed(d.in.bytes())
	}
	d.in.release(d.w)
	h.armTimer()
}

func (h *dmux) run() {
	h.read()
	if !h.over {
		h.touch()
		h.armTimer()
	}
}

// armTimer sets the connection's own deadline. Streams have theirs.
func (h *dmux) armTimer() {
	d, now := h.d, h.d.w.now
	at := int64(0)
	switch {
	case h.have == 0 || h.held:
		h.stuckAt = 0
	case h.stuckAt == 0 || h.whole: // what is incomplete now is another frame
		h.stuckAt = now
	}
	h.whole = false
	if h.stuckAt != 0 {
		at = h.stuckAt + d.chain.head
	} else if h.conn.Streams() == 0 {
		at = now + d.chain.idle
		if h.served == 0 && d.headBy != 0 && !h.final {
			at = d.headBy
		}
	}
	switch {
	case d.drainAt != 0 && !h.final:
		at = d.drainAt
	case d.ageBy != 0 && d.drainAt == 0 && (at == 0 || d.ageBy < at):
		at = d.ageBy
	}
	if h.unreadAt != 0 {
		if limit := h.unreadAt + d.chain.stream; at == 0 || limit < at {
			at = limit
		}
	}
	d.w.timers.set(&d.timer, at)
}

func (h *dmux) onTimer() {
	d, now := h.d, h.d.w.now
	switch {
	case h.unreadAt != 0 && now-h.unreadAt >= d.chain.stream:
		d.abort()
	case h.stuckAt != 0 && now-h.stuckAt >= d.chain.head:
		h.goAway()
		d.shut()
	case d.ageBy != 0 && d.drainAt == 0 && now >= d.ageBy:
		d.age()
		h.drain()
	case d.drainAt != 0 && !h.final:
		h.goAway()
	case h.conn.Streams() == 0:
		h.goAway()
	}
	if !d.closed {
		h.touch()
		h.armTimer()
	}
}

// goAway takes no new streams; the connection closes when the last is over.
func (h *dmux) goAway() {
	if !h.final {
		h.final = true
		h.conn.GoAway(http2.NoError)
		h.touch()
	}
}

// drain announces the end first, so that requests that are on their way find an
// open door: those that come before the client has seen the notice are served.
func (h *dmux) drain() {
	if h.noticed {
		return
	}
	h.noticed = true
	h.conn.Notice()
	h.conn.Ping()
	h.touch()
	h.armTimer()
}

func (h *dmux) muxBroken(err error) {
	d := h.d
	if err != nil {
		d.w.e.log.Debug("HTTP/2 connection ended", "listener", d.listener, "remote", d.peer.Remote, "error", err)
		d.chain.stats.h2ProtocolError.Inc()
		d.shut()
		return
	}
	d.close()
}

// muxWritten closes a connection that is at its end.
func (h *dmux) muxWritten() {
	h.unreadAt = 0
	if h.final && h.conn.Streams() == 0 {
		h.d.shut()
		return
	}
}

// muxWaits gives a client that reads nothing at all as long as a stream that
// stands still.
func (h *dmux) muxWaits(moved bool) {
	if moved || h.unreadAt == 0 {
		h.unreadAt = h.d.w.now
		h.armTimer()
	}
}

// The codec's events.

func (h *dmux) Buffer(n int) []byte { return h.d.w.headBuffer(n) }

func (h *dmux) NewStream() *http2.Stream {
	w := h.d.w
	var x *dstream
	if n := len(w.dstreams); n > 0 {
		x, w.dstreams = w.dstreams[n-1], w.dstreams[:n-1]
	} else {
		x = &dstream{}
		x.st.Owner, x.timer.owner = x, x
	}
	x.h = h
	x.st.Owner = x
	return &x.st
}

func (h *dmux) OnHead(st *http2.Stream) {
	x := st.Owner.(*dstream)
	h.served++
	h.d.headBy = 0
	x.begin()
}

func (h *dmux) OnData(st *http2.Stream, p []byte, last bool) {
	x := st.Owner.(*dstream)
	if !x.active {
		return
	}
	x.body.direct, x.body.ended = p, last
	x.run()
	if x.active {
		x.body.store(h.d.w)
	}
}

func (h *dmux) OnEnd(st *http2.Stream) {
	x := st.Owner.(*dstream)
	if x.active {
		x.body.ended = true
		x.run()
	}
}

func (h *dmux) OnReset(st *http2.Stream, code http2.ErrCode, _ bool) {
	x := st.Owner.(*dstream)
	if x.active {
		if h.d.closed {
			x.stream.cancel("DC", "downstream_remote_disconnect")
		} else {
			x.stream.cancel("DR", "http2.remote_reset")
		}
	}
	x.release()
}

func (h *dmux) OnWindow(st *http2.Stream) {
	if st == nil {
		h.wakeStarved()
		return
	}
	st.Owner.(*dstream).run()
}

func (h *dmux) OnGoAway(http2.ErrCode) {}

// OnPong: the client has seen the notice, and whatever it sent before has come.
func (h *dmux) OnPong() {
	if h.noticed {
		h.goAway()
	}
}

// dstream is one request of an HTTP/2 client.
type dstream struct {
	h      *dmux
	st     http2.Stream
	stream stream
	body   bodyQueue
	timer  timer
	active bool
	queued bool
	waits  waiting
	noBody bool // the response must not have one
}

func (x *dstream) begin() {
	d := x.h.d
	x.active, x.noBody = true, false
	x.body.ended = x.st.RemoteDone()
	x.st.Request.Scheme = x.h.scheme
	x.stream.init(d.w, x, &d.peerInfo, d.chain, requestHead{
		Request: &x.st.Request, framing: x.st.Framing, length: x.st.Length, protocol: message.HTTP2, expect: x.st.Expect,
	})
	if f := x.st.Fault; f != nil {
		x.stream.refuse(fault{f.Status, "http2." + f.Detail})
		return
	}
	x.stream.begin()
	x.run()
}

func (x *dstream) run() {
	if x.active {
		x.stream.run()
	}
}

func (x *dstream) again() { x.h.d.w.later(x) }

func (x *dstream) isQueued() *bool { return &x.queued }

func (x *dstream) onTurn() { x.run() }

func (x *dstream) waitsFor() *waiting { return &x.waits }

func (x *dstream) unblock() { x.run() }

func (x *dstream) setTimer(at int64) { x.h.d.w.timers.set(&x.timer, at) }

func (x *dstream) onTimer() {
	if x.active {
		x.stream.onTimer()
		x.run()
	}
}

func (x *dstream) readBody(max int) ([]byte, bool, ioState) {
	if x.body.empty() {
		if x.body.ended {
			return nil, true, ioOK
		}
		return nil, false, ioAgain
	}
	p := x.body.next(x.h.d.w, max)
	x.st.Consumed(len(p))
	x.h.touch()
	return p, x.body.done(), ioOK
}

func (x *dstream) bodyDone() bool { return x.body.done() }

// bodyFault: a body that breaks a rule resets its stream.
func (x *dstream) bodyFault() *fault { return nil }

func (x *dstream) trailers() []message.Field { return x.st.Trailers }

func (x *dstream) sendContinue() {
	x.st.Continue()
	x.h.wrote()
}

func (x *dstream) sendHead(r *message.Response, framing message.Framing, length int64, end bool) {
	if x.st.Request.Method == "HEAD" || r.Status == 204 || r.Status == 304 {
		if framing == message.Chunked || framing == message.UntilClose {
			length = -1
		}
		// The end comes with the upstream's: until then the stream stays open, so
		// that a client that goes away ends the exchange.
		framing, x.noBody = message.NoBody, true
	} else if framing == message.NoBody {
		length = -1 // the end of the stream says it
	}
	x.st.Respond(r, framing, length, end)
	x.h.wrote()
}

func (x *dstream) takesBody() bool { return !x.noBody }

func (x *dstream) sendBody(piece []byte, last bool) ioState {
	if x.noBody {
		piece = nil
	}
	if len(piece) > 0 || last {
		x.st.SendData(piece, last)
		x.h.wrote()
	}
	return ioOK
}

func (x *dstream) sendEnd(trailers []message.Field) {
	switch {
	case x.st.Closed():
		return
	case len(trailers) > 0:
		x.st.SendTrailers(trailers)
	default:
		x.st.SendData(nil, true)
	}
	x.h.wrote()
}

func (x *dstream) room() int {
	return x.h.mux.room(&x.st, x)
}

func (x *dstream) flush() ioState {
	x.h.touch()
	return ioOK
}

func (x *dstream) gone() bool { return false }

func (x *dstream) drop() { x.cut() }

func (x *dstream) cut() {
	x.st.Reset(http2.InternalError)
	x.h.touch()
	if x.active {
		x.stream.cancel("DC", "downstream_remote_disconnect")
	}
	x.release()
}

// leaveBody: the end of the exchange says so.
func (x *dstream) leaveBody() {}

func (x *dstream) closeAfter() { x.h.drain() }

func (x *dstream) endExchange() {
	if !x.st.RemoteDone() {
		// RFC 9113 §8.1: the answer is complete, and the rest is not wanted.
		x.st.Reset(http2.NoError)
	}
	x.release()
	if x.h.conn.Streams() == 0 {
		x.h.armTimer()
	}
	x.h.touch()
}

// release gives back what the stream holds, once.
func (x *dstream) release() {
	w := x.h.d.w
	x.active = false
	x.h.forget(x)
	x.body.release(w)
	x.st.Release(w.bufs.put)
	w.timers.drop(&x.timer)
	if len(w.dstreams) < keepStreams {
		w.dstreams = append(w.dstreams, x)
	}
}

// keepStreams bounds the free list of streams of one loop.
const keepStreams = 1024

// preface looks for the beginning of HTTP/2 in what a client has sent first:
// yes, no, or too little to tell. No HTTP/1.1 request begins with "PRI *".
func preface(p []byte) (is, known bool) {
	n := min(len(p), len(http2.Preface))
	if string(p[:n]) != http2.Preface[:n] {
		return false, true
	}
	return true, n == len(http2.Preface)
}

var (
	_ downstream   = (*dstream)(nil)
	_ http2.Events = (*dmux)(nil)
)
