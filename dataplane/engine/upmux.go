package engine

import (
	"crypto/tls"
	"slices"

	"github.com/meshc/meshc/dataplane/http1"
	"github.com/meshc/meshc/dataplane/http2"
	"github.com/meshc/meshc/dataplane/message"
)

// umux is one HTTP/2 connection to an endpoint. It carries as many streams at a
// time as the server allows.
type umux struct {
	sock
	mux
	host     *host
	phase    upState
	carried  int   // streams so far
	retireAt int64 // it takes no new streams from then on; 0: never
	broken   bool  // the peer has broken the protocol
	leaving  bool  // no new streams: GOAWAY, the end of stream numbers, a gone endpoint
	timer    timer
	pings    pinger
}

// dialMux starts a connection; the streams that wait for it are in the host's
// queue. It gives false when it could not even be tried.
func (h *host) dialMux() bool {
	m := &umux{host: h}
	m.timer.owner = m
	if !h.dial(&m.sock, m, &m.timer) {
		return false
	}
	h.muxes = append(h.muxes, m)
	return true
}

func (m *umux) onEvent() {
	switch m.phase {
	case upConnecting:
		m.onConnected()
	case upHandshake:
		m.runHandshake()
	case upActive, upIdle:
		m.mux.read()
		if !m.over {
			m.touch()
		}
	}
}

func (m *umux) onConnected() {
	if !m.writable {
		return
	}
	if m.unconnected() || !m.host.announce(&m.sock) {
		m.connectFailed(failConnect)
		return
	}
	conf := m.host.pool.muxTLS()
	if conf == nil {
		m.ready()
		return
	}
	m.phase = upHandshake
	m.startTLS(conf, m.host.pool.snap.Peers, false)
	m.runHandshake()
}

func (m *umux) runHandshake() {
	switch done, err := m.handshake(); {
	case !done:
	case err != nil:
		m.host.handshakeFailed(err)
		m.connectFailed(failConnect)
	case m.connectionState().NegotiatedProtocol != "h2":
		m.sock.w.e.log.Debug("server does not speak HTTP/2", "cluster", m.host.pool.key.name, "endpoint", m.host.text)
		m.connectFailed(failConnect)
	default:
		m.ready()
	}
}

// muxTLS is the cluster's TLS configuration, offering HTTP/2 alone.
func (p *pool) muxTLS() *tls.Config {
	conf := p.snap.TLS
	if conf == nil || slices.Equal(conf.NextProtos, onlyH2) {
		return conf
	}
	if p.h2TLSOf != conf {
		p.h2TLSOf, p.h2TLS = conf, conf.Clone()
		p.h2TLS.NextProtos = onlyH2
	}
	return p.h2TLS
}

var onlyH2 = []string{"h2"}

func (m *umux) ready() {
	m.phase = upActive
	conf := h2Defaults
	lim := http1.DefaultLimits
	conf.Limits = http2.Limits{HeadBytes: lim.HeadBytes, Fields: lim.Fields, TargetBytes: lim.TargetBytes}
	m.host.pool.snap.HTTP2.Apply(&conf)
	m.start(&m.sock, m, conf, m)
	m.retireAt = m.host.pool.retireAt()
	m.sock.w.timers.set(&m.timer, m.retireAt)
	m.pings.start(m, m.host.pool.snap.HTTP2.Pings)
	m.host.serve(m)
	if m.conn.Streams() == 0 {
		m.idle()
	}
}

func (m *umux) connectFailed(why failure) {
	h := m.host
	if why == failConnectTimeout {
		h.pool.stats.connectTimeout.Inc()
	}
	h.connectFailed()
	m.end()
	h.countClosed()
	// Whoever waits fails with the last connection that could have served: to
	// dial again for them would go on for ever.
	if len(h.muxes) == 0 {
		h.failQueue(why)
	}
}

func (m *umux) onTimer() {
	switch m.phase {
	case upConnecting, upHandshake:
		m.connectFailed(failConnectTimeout)
	case upIdle, upActive:
		if m.retireAt != 0 && m.sock.w.now >= m.retireAt {
			m.outlived()
		} else if m.phase == upIdle {
			m.leave()
		}
	}
}

// spare is how many more streams m takes now.
func (m *umux) spare() int {
	if m.leaving || m.phase != upActive && m.phase != upIdle {
		return 0
	}
	limit := int(h2Defaults.MaxStreams)
	if n := m.host.pool.snap.HTTP2.MaxStreams; n > 0 {
		limit = int(n)
	}
	return min(m.conn.Spare(), limit-m.conn.Streams(), m.left())
}

func (m *umux) attach(s *stream) {
	w := m.sock.w
	if m.phase == upIdle {
		m.phase = upActive
		w.timers.set(&m.timer, m.retireAt)
	}
	var u *ustream
	if n := len(w.ustreams); n > 0 {
		u, w.ustreams = w.ustreams[n-1], w.ustreams[:n-1]
	} else {
		u = &ustream{}
	}
	u.st.Owner = u
	u.m, u.s, u.attempt = m, s, attempt{reused: m.carried > 0, multiplexed: true}
	m.carried++
	m.worn()
	s.connected(u)
}

// streamOver is called when a stream has left.
func (m *umux) streamOver() {
	if m.over {
		return
	}
	m.touch()
	switch {
	case m.leaving || m.host.gone && len(m.host.queue) == 0:
		m.leave()
	case m.conn.Spare() <= 0 && m.conn.Streams() == 0:
		m.leave() // the numbers of streams have run out
	case m.conn.Streams() == 0:
		m.idle()
	}
	if !m.over {
		m.host.serve(m)
	}
}

func (m *umux) idle() {
	m.phase = upIdle
	m.sock.w.timers.set(&m.timer, m.host.pool.idleDeadline(m.retireAt))
}

// leave takes no new streams and closes when the last is over.
func (m *umux) leave() {
	if !m.leaving {
		m.leaving = true
		m.host.dropMux(m)
	}
	if m.conn == nil || m.conn.Streams() == 0 {
		m.close()
	}
}

func (m *umux) close() {
	if m.phase != upClosed {
		m.end()
		m.host.muxClosed()
	}
}

// end closes the connection; the caller counts it.
func (m *umux) end() {
	m.phase = upClosed
	m.host.dropMux(m)
	if m.conn != nil {
		m.conn.GoAway(http2.NoError)
		m.mux.flush()
		m.conn.Abandon(http2.NoError)
	}
	m.mux.stop()
	m.sock.w.timers.drop(&m.timer)
	m.pings.stop(m.sock.w)
	m.sock.close()
}

func (m *umux) muxBroken(err error) {
	if err != nil {
		m.host.pool.stats.h2ProtocolError.Inc()
		m.sock.w.e.log.Debug("HTTP/2 connection ended", "cluster", m.host.pool.key.name, "endpoint", m.host.text, "error", err)
		m.broken = true
	}
	m.close()
}

func (m *umux) muxWritten() {}

// muxWaits: the streams have deadlines, and without any the connection idles.
func (m *umux) muxWaits(bool) {}

// The codec's events.

func (m *umux) Buffer(n int) []byte { return m.sock.w.headBuffer(n) }

// NewStream is for servers alone.
func (m *umux) NewStream() *http2.Stream { return nil }

func (m *umux) OnHead(st *http2.Stream) {
	u := st.Owner.(*ustream)
	u.answered, u.headReady = true, true
	u.body.ended = st.RemoteDone()
	u.bodyEnd = u.body.ended
	u.head = responseHead{Response: st.Response, framing: st.Framing, length: st.Length}
	u.run()
}

func (m *umux) OnData(st *http2.Stream, p []byte, last bool) {
	u := st.Owner.(*ustream)
	u.body.direct, u.body.ended = p, last
	u.run()
	if u.s != nil {
		u.body.store(m.sock.w)
	}
}

func (m *umux) OnEnd(st *http2.Stream) {
	u := st.Owner.(*ustream)
	u.body.ended = true
	u.run()
}

func (m *umux) OnReset(st *http2.Stream, code http2.ErrCode, unprocessed bool) {
	u := st.Owner.(*ustream)
	u.broken = true
	if !u.body.ended {
		u.failed = true
		switch {
		case unprocessed:
			u.why = failRefused
		case m.phase != upClosed && code == http2.ProtocolError && !st.ResetByPeer():
			u.why = failProtocol
		case m.phase != upClosed:
			u.why = failRemoteReset
		case m.broken:
			u.why = failProtocol
		default:
			u.why = failReset
		}
	}
	u.run()
}

func (m *umux) OnWindow(st *http2.Stream) {
	if st == nil {
		m.wakeStarved()
		m.host.serve(m)
		return
	}
	st.Owner.(*ustream).run()
}

func (m *umux) OnGoAway(http2.ErrCode) {
	if !m.leaving {
		m.leaving = true
		m.host.dropMux(m)
		m.touch()
	}
}

func (m *umux) OnPong() { m.pings.answered() }

// ustream is one request on a umux.
type ustream struct {
	attempt
	m         *umux
	st        http2.Stream
	s         *stream // nil once detached
	head      responseHead
	body      bodyQueue
	headReady bool
	failed    bool
	why       failure
	waits     waiting
	open      bool // st is in use
}

func (u *ustream) run() {
	if u.s != nil {
		u.s.d.run()
	}
}

func (u *ustream) sendHead(r *message.Request, framing message.Framing, length int64) {
	u.sentHead = true
	u.m.host.started()
	if u.m.over {
		u.failed, u.why = true, failReset
		return
	}
	u.open = true
	u.m.conn.Open(&u.st, r, framing, length)
	u.m.wrote()
}

func (u *ustream) sendBody(piece []byte, last bool) ioState {
	if u.st.Closed() || !u.open || len(piece) == 0 && !last {
		return ioOK
	}
	u.st.SendData(piece, last)
	u.m.wrote()
	return ioOK
}

func (u *ustream) sendEnd(trailers []message.Field) {
	switch {
	case !u.open || u.st.Closed():
		return
	case len(trailers) > 0:
		u.st.SendTrailers(trailers)
	default:
		u.st.SendData(nil, true)
	}
	u.m.wrote()
}

func (u *ustream) room() int {
	if !u.open || u.st.Closed() {
		return 0
	}
	return u.m.mux.room(&u.st, u)
}

func (u *ustream) unblock() { u.run() }

func (u *ustream) waitsFor() *waiting { return &u.waits }

func (u *ustream) flush() ioState {
	u.m.touch()
	return ioOK
}

func (u *ustream) readHead() (*responseHead, ioState) {
	switch {
	case u.headReady:
		return &u.head, ioOK
	case u.failed:
		return nil, ioError
	}
	return nil, ioAgain
}

func (u *ustream) readBody(max int) ([]byte, bool, ioState) {
	if u.body.empty() {
		switch {
		case u.body.ended:
			u.bodyEnd = true
			return nil, true, ioOK
		case u.failed:
			return nil, false, ioError
		}
		return nil, false, ioAgain
	}
	p := u.body.next(u.m.sock.w, max)
	u.st.Consumed(len(p))
	if !u.m.over {
		u.m.touch()
	}
	u.bodyEnd = u.body.done()
	return p, u.bodyEnd, ioOK
}

func (u *ustream) trailers() []message.Field { return u.st.Trailers }

func (u *ustream) failure() failure { return u.why }

func (u *ustream) detach(bool) {
	m, w := u.m, u.m.sock.w
	m.host.finished()
	u.s = nil
	if u.open {
		u.open = false
		if !m.over {
			u.st.Reset(http2.Cancel) // if it is not over on both sides
		}
		u.st.Response.Fields = u.head.Fields // which may have grown
		u.st.Release(w.bufs.put)
	}
	u.body.release(w)
	m.forget(u)
	*u = ustream{st: u.st, body: u.body}
	if len(w.ustreams) < keepStreams {
		w.ustreams = append(w.ustreams, u)
	}
	m.streamOver()
}

var (
	_ upstream     = (*ustream)(nil)
	_ http2.Events = (*umux)(nil)
)
