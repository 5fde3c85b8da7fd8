package engine

import (
	"crypto/tls"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/http1"
	"github.com/meshc/meshc/dataplane/http2"
	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/snapshot"
	"github.com/meshc/meshc/dataplane/telemetry"
)

// dconn is one client's HTTP/1.1 connection. It reads a head, lets its stream
// run to the end, and reads the next: pipelined requests wait their turn in the
// input buffer or the kernel.
type dconn struct {
	sock
	acceptor  *acceptor
	listener  string
	port      uint16 // the local one, or that to which the connection was going
	protocol  string // "tls" or "raw_buffer": what the chain was chosen by
	announced bool   // a header says whose it is, which has not come yet
	sni       string // the server name that it was chosen by as well
	tlsConf   *tls.Config
	chain     *chainView // for the next request; a stream holds its own
	taken     *taken     // counts it; nil: nobody does
	admitted  *telemetry.Cell
	peerInfo

	state    connState
	mux      *dmux   // of HTTP/2
	tunnel   *tunnel // of bytes
	sniff    bool    // the first bytes will tell the protocol
	in       input
	headFrom int
	req      http1.Request
	chunks   http1.ChunkReader
	bodyLeft int64
	bodyEnd  bool
	bodyErr  error
	framing  http1.Framing // of the response being sent
	asks     string        // the protocol that the request asks to change to
	changed  bool          // to that protocol: what is read and written is it

	stream  stream
	active  bool // stream is running
	closing bool // after what is in out, no more
	linger  bool // closing with input that nobody will read
	queued  bool
	closed  bool

	headBy  int64 // deadline of the head being read, 0 when none has begun
	drainAt int64 // an idle connection closes then; 0 = not draining
	ageBy   int64 // the connection is drained then; 0 = never
	timer   timer
	prev    *dconn
	next    *dconn
}

type connState uint8

const (
	connInspect connState = iota
	connHandshake
	connOpen
	connLinger
)

func (w *worker) newDconn(a *acceptor, fd int, remote netip.AddrPort) {
	l := w.view.listeners[a.name]
	if l == nil {
		_ = unix.Close(fd)
		return
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	l, local := w.view.taker(l, fd, a.b.addr)
	d := &dconn{acceptor: a, listener: l.snap.Name, port: local.Port(), peerInfo: peerInfo{remote: remote}}
	d.w, d.fd, d.writable, d.timer.owner = w, fd, true, d
	d.peer = filter.Peer{Remote: remote.String(), Local: local.String()}
	if err := w.register(&d.sock, d); err != nil {
		w.e.log.Error("connection cannot be watched", "listener", a.name, "error", err)
		_ = unix.Close(fd)
		return
	}
	w.conns.add(d)
	w.e.noteConn(1)
	a.total.Inc()
	a.active.Add(1)
	if d.announced = l.snap.ProxyProtocol; d.announced || l.inspects(d.port) {
		w.timers.set(&d.timer, w.now+orDefault(l.snap.InspectTimeout, 15*time.Second))
		return
	}
	d.choose(l, "", "raw_buffer")
}

func localAddr(fd int, bound netip.AddrPort) netip.AddrPort {
	if !bound.Addr().IsUnspecified() {
		return bound
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return bound
	}
	return addrPort(sa)
}

// choose takes the filter chain; no chain means no service (Envoy:
// no_filter_chain_match).
func (d *dconn) choose(l *listenerView, serverName, protocol string) {
	c := l.pick(d.port, serverName, protocol, d.remote.Addr().Unmap())
	if c == nil {
		d.close()
		return
	}
	if !d.admit(c) {
		d.close()
		return
	}
	d.protocol, d.sni, d.chain, d.tlsConf = protocol, serverName, c, c.tls
	c.conns.connect()
	if c.tls == nil {
		d.open()
		return
	}
	d.state = connHandshake
	d.startTLS(c.tls, c.snap.Peers, true)
	d.w.timers.set(&d.timer, d.w.now+c.handshake)
}

// open: the head of the first request is due from now on, so that a connection
// that stays silent cannot stay.
func (d *dconn) open() {
	d.state = connOpen
	if d.chain.tcp != nil {
		d.openTunnel()
		return
	}
	d.headBy = d.w.now + d.chain.head
	if d.chain.maxAge > 0 {
		d.ageBy = d.w.now + d.chain.maxAge
	}
	if d.drainAt != 0 {
		d.drainAt = d.w.now + int64(d.w.e.opts.DrainGrace)
	}
	switch d.chooseProtocol() {
	case message.HTTP2:
		d.openMux()
		return
	}
	d.awaitHead()
}

// chooseProtocol follows codec_type: what was agreed on in the handshake, or,
// without that, what the first bytes will tell.
func (d *dconn) chooseProtocol() message.Protocol {
	agreed := ""
	if d.tls != nil {
		agreed = d.connectionState().NegotiatedProtocol
	}
	switch d.chain.http.Codec {
	case snapshot.CodecHTTP2:
		return message.HTTP2
	case snapshot.CodecAuto:
		if agreed == "h2" {
			return message.HTTP2
		}
		d.sniff = agreed == ""
	}
	return message.HTTP11
}

func (d *dconn) onEvent() { d.run() }

// run does all that can be done now.
func (d *dconn) run() {
	switch d.state {
	case connInspect:
		d.inspect()
	case connLinger:
		d.drainInput()
		return
	}
	if !d.closed && d.state == connHandshake {
		d.runHandshake()
	}
	for turn := 0; !d.closed && d.state == connOpen; turn++ {
		if d.mux != nil {
			d.mux.run()
			return
		}
		if d.tunnel != nil {
			d.tunnel.run()
			return
		}
		if turn == maxTurns {
			d.w.later(d)
			return
		}
		if d.active {
			d.stream.run()
			if d.active {
				return
			}
			continue
		}
		if !d.written() || !d.readHead() {
			return
		}
	}
}

// maxTurns is how many exchanges of one connection, or pieces of one body, go
// through before others get their turn.
const maxTurns = 16

func (d *dconn) runHandshake() {
	done, err := d.handshake()
	switch {
	case !done:
	case err != nil:
		d.chain.conns.handshakeError.Inc()
		d.w.e.log.Debug("TLS handshake failed", "listener", d.listener, "remote", d.peer.Remote, "error", err)
		d.close()
	default:
		d.identify()
		d.open()
	}
}

// written reports whether all output is with the kernel, and ends the
// connection when it was the last.
func (d *dconn) written() bool {
	switch d.flush() {
	case ioError:
		d.abort()
		return false
	case ioAgain:
		d.w.timers.set(&d.timer, d.w.now+d.chain.stream)
		return false
	}
	if !d.closing {
		return true
	}
	if d.linger {
		d.startLinger()
	} else {
		d.close()
	}
	return false
}

// readHead reads until a whole head is there and starts its stream.
func (d *dconn) readHead() bool {
	lim := &d.chain.limits
	for {
		if p := d.in.bytes(); len(p) > 0 && !d.sniffed(p) {
			if d.mux != nil {
				return true
			}
			end, next, err := http1.HeadEnd(p, d.headFrom, lim.HeadBytes)
			d.headFrom = next
			if err != nil {
				d.refuse(err)
				return true
			}
			if end > 0 {
				d.begin(end)
				return true
			}
		}
		switch d.in.fill(&d.sock, smallBuffer, lim.HeadBytes) {
		case ioAgain:
			d.awaitHead()
			return false
		case ioFull:
			d.refuse(&http1.Error{Status: 431, Detail: "headers_too_large"})
			return true
		case ioEOF, ioError:
			d.close()
			return false
		}
	}
}

// sniffed looks for HTTP/2 in the first bytes; true: too few have come.
func (d *dconn) sniffed(p []byte) (more bool) {
	if !d.sniff {
		return false
	}
	is, known := preface(p)
	if is && !known {
		return true
	}
	d.sniff = false
	if is {
		d.openMux()
	}
	return false
}

// awaitHead sets the deadline for what is missing.
func (d *dconn) awaitHead() {
	if len(d.in.bytes()) == 0 {
		d.in.release(d.w)
		d.headFrom = 0
	} else if d.headBy == 0 {
		d.headBy = d.w.now + d.chain.head
	}
	at := d.headBy
	if at == 0 {
		at = d.w.now + d.chain.idle
	}
	if len(d.in.bytes()) == 0 {
		d.age()
		switch {
		case d.drainAt != 0:
			at = min(at, d.drainAt)
		case d.ageBy != 0:
			at = min(at, d.ageBy)
		}
	}
	d.w.timers.set(&d.timer, at)
}

func (d *dconn) begin(end int) {
	head := d.in.bytes()[:end]
	d.in.headDone(end)
	d.headFrom, d.headBy = 0, 0
	scheme := "http"
	if d.tls != nil {
		scheme = "https"
	}
	if err := http1.ParseRequest(head, scheme, &d.chain.limits, &d.req); err != nil {
		d.refuse(err)
		return
	}
	d.chunks, d.bodyErr = http1.ChunkReader{}, nil
	d.bodyLeft = d.req.Length
	d.bodyEnd = d.req.Framing == http1.NoBody || d.req.Framing == http1.Length && d.req.Length == 0
	if d.asks = d.req.Upgrade; ignoredUpgrade(d.asks) {
		d.asks = ""
	}
	if d.asks != "" {
		if !d.bodyEnd {
			d.asks = ""
			d.refuse(errUpgradeBody)
			return
		}
		d.bodyEnd = false // the other protocol is still to come
	}
	d.active = true
	d.stream.init(d.w, d, &d.peerInfo, d.chain, d.head())
	d.stream.begin()
}

func (d *dconn) head() requestHead {
	r := &d.req
	h := requestHead{Request: &r.Request, framing: r.Framing, length: r.Length, expect: r.Continue, upgrade: d.asks}
	if r.Minor == 0 {
		h.protocol = message.HTTP10
	}
	return h
}

// endExchange is called by the stream when the response is complete.
func (d *dconn) endExchange() {
	d.active = false
	d.w.timers.set(&d.timer, 0) // the stream's; what comes next sets its own
	if !d.bodyEnd {
		d.closing, d.linger = true, true
	}
	d.in.next(d.w)
	d.age()
	d.closing = d.closing || d.drainAt != 0
	// Closing over unread input would reset the connection under the response.
	d.linger = d.linger || d.closing && (d.readable || len(d.in.bytes()) > 0)
}

func (d *dconn) readBody(max int) (piece []byte, end bool, st ioState) {
	if d.asks != "" {
		return d.readChanged(max)
	}
	for !d.bodyEnd {
		p := d.in.bytes()
		if len(p) == 0 {
			if st := d.in.fill(&d.sock, smallBuffer, largeBuffer); st != ioOK {
				return nil, false, st
			}
			p = d.in.bytes()
		}
		p = p[:min(len(p), max)]
		if d.req.Framing == http1.Length {
			p = p[:min(int64(len(p)), d.bodyLeft)]
			d.in.consume(len(p))
			d.bodyLeft -= int64(len(p))
			d.bodyEnd = d.bodyLeft == 0
			return p, d.bodyEnd, ioOK
		}
		data, n, done, err := d.chunks.Next(p)
		d.in.consume(n)
		if err != nil {
			d.bodyErr = err
			return nil, false, ioError
		}
		d.bodyEnd = done
		if len(data) > 0 {
			return data, false, ioOK
		}
	}
	return nil, true, ioOK
}

func (d *dconn) bodyDone() bool { return d.bodyEnd }

func (d *dconn) bodyFault() *fault {
	if d.bodyErr == nil {
		return nil
	}
	return &fault{400, "http1." + d.bodyErr.(*http1.Error).Detail}
}

// trailers are checked and dropped by the chunk reader.
func (d *dconn) trailers() []message.Field { return nil }

func (d *dconn) gone() bool { return d.hup && !d.changed }

func (d *dconn) drop() { d.close() }

func (d *dconn) cut() { d.abort() }

func (d *dconn) leaveBody() { d.closing, d.linger = true, true }

func (d *dconn) closeAfter() { d.closing = true }

func (d *dconn) takesBody() bool { return d.framing != http1.NoBody }

func (d *dconn) setTimer(at int64) { d.w.timers.set(&d.timer, at) }

func (d *dconn) again() { d.w.later(d) }

func (d *dconn) isQueued() *bool { return &d.queued }

func (d *dconn) onTurn() {
	if !d.closed {
		d.run()
	}
}

func (d *dconn) sendContinue() {
	d.append([]byte(http1.ContinueHead))
	d.flush()
}

func (d *dconn) sendHead(r *message.Response, framing message.Framing, length int64, _ bool) {
	if r.Status == 101 && d.asks != "" {
		d.change(r)
		return
	}
	// Whoever asked for another protocol may have begun to speak it.
	d.closing = d.closing || d.asks != ""
	switch {
	case d.req.Method == "HEAD" || r.Status == 204 || r.Status == 304:
		if framing == http1.Chunked || framing == http1.UntilClose {
			length = -1
		}
		framing = http1.NoBody
	case framing == http1.Chunked || framing == http1.UntilClose:
		framing = http1.Chunked
		if d.req.Minor == 0 {
			framing = http1.UntilClose
			d.closing = true
		}
	}
	d.framing = framing
	d.age()
	d.closing = d.closing || d.req.Close || d.drainAt != 0
	d.out = d.w.bufs.extend(d.out, headEstimate(r.Fields))
	d.out = http1.AppendResponse(d.out, r, framing, length, d.closing, d.req.Minor == 0)
}

// headEstimate is roughly the size of a head, so that it is written into a
// buffer of the free lists and not grown out of one.
func headEstimate(fields []message.Field) int {
	n := 256
	for i := range fields {
		n += len(fields[i].Name) + len(fields[i].Value) + 4
	}
	return n
}

func (d *dconn) sendBody(piece []byte, _ bool) ioState {
	if d.framing != http1.Chunked {
		return d.writeBody(piece)
	}
	if len(piece) > 0 { // an empty chunk would end the body
		d.out = d.w.bufs.extend(d.out, len(piece)+http1.ChunkOverhead)
		d.out = http1.AppendChunk(d.out, piece)
	}
	return ioOK
}

func (d *dconn) sendEnd([]message.Field) {
	if d.framing == http1.Chunked {
		d.out = d.w.bufs.extend(d.out, http1.ChunkOverhead)
		d.out = http1.AppendLastChunk(d.out)
	}
}

func (d *dconn) room() int { return h1Room(&d.sock) }

// drain lets the connection end politely: the next response says close; if none
// is asked for within the grace, it closes.
func (d *dconn) drain() {
	if d.drainAt != 0 {
		return
	}
	d.drainAt = d.w.now + int64(d.w.e.opts.DrainGrace)
	if d.mux != nil {
		d.mux.drain()
		return
	}
	if d.tunnel != nil {
		d.tunnel.drain()
		return
	}
	if d.state == connOpen && !d.active && !d.pendingOut() {
		d.awaitHead()
	}
}

// age drains the connection once its time is over; what is being answered then
// is the last.
func (d *dconn) age() {
	if d.ageBy != 0 && d.w.now >= d.ageBy && d.drainAt == 0 {
		d.ageBy = 0
		d.chain.stats.cxMaxDuration.Inc()
		d.drainAt = d.w.now + int64(d.w.e.opts.DrainGrace)
	}
}

// refresh moves the connection to the listener's current chain; false: there is
// none that the connection could have been accepted by.
func (d *dconn) refresh() bool {
	l := d.w.view.listeners[d.listener]
	if l == nil {
		return false
	}
	if d.chain == nil {
		return true
	}
	c := l.pick(d.port, d.sni, d.protocol, d.remote.Addr().Unmap())
	if c == nil || c.tls != d.tlsConf || (c.tcp == nil) != (d.chain.tcp == nil) {
		return false
	}
	d.chain.conns.cxActive.Add(-1) // the new chain may count under another prefix
	d.chain = c
	c.conns.cxActive.Add(1)
	return true
}

func (d *dconn) onTimer() {
	switch {
	case d.mux != nil && d.state == connOpen:
		d.mux.onTimer()
	case d.tunnel != nil && d.state == connOpen:
		d.tunnel.onTimer()
	case d.active:
		d.stream.onTimer()
		d.run()
	case d.pendingOut():
		d.abort() // the client does not read
	case d.state == connOpen && len(d.in.bytes()) > 0:
		d.refuse(&http1.Error{Status: 408, Detail: "request_header_timeout"})
		d.written()
	case d.ageBy != 0 && d.w.now >= d.ageBy && d.state == connOpen:
		d.awaitHead()
	default:
		d.close()
	}
}

// refuse answers a request that could not be parsed; its end is unknown, so the
// connection ends with it.
func (d *dconn) refuse(err error) {
	status, detail := 400, "http1.codec_error"
	if e, ok := err.(*http1.Error); ok {
		status, detail = e.Status, "http1."+e.Detail
	}
	d.req = http1.Request{Minor: 1, Close: true}
	d.bodyEnd = false
	d.active = true
	d.stream.init(d.w, d, &d.peerInfo, d.chain, d.head())
	d.stream.refuse(fault{status, detail})
}

// startLinger tells the client that nothing more comes and goes on reading for a
// while: closing with unread input would reset the connection and could take the
// response away from a client that is still sending.
func (d *dconn) startLinger() {
	d.state = connLinger
	d.in.release(d.w)
	if d.tls != nil {
		_ = d.tls.conn.CloseWrite()
		_ = d.tls.flushRecords()
	}
	_ = unix.Shutdown(d.fd, unix.SHUT_WR)
	d.w.timers.set(&d.timer, d.w.now+int64(lingerTime))
	d.drainInput()
}

const lingerTime = time.Second

func (d *dconn) drainInput() {
	p := d.w.bufs.get(largeBuffer)
	defer d.w.bufs.put(p)
	for range maxTurns {
		if _, st := d.readRaw(p); st != ioOK {
			if st != ioAgain {
				d.close()
			}
			return
		}
	}
	// Who still sends after a megabyte will not read the response either.
	d.close()
}

// shut ends an HTTP/2 connection politely: what has been said still arrives.
func (d *dconn) shut() {
	d.endMux()
	if d.flush() != ioOK {
		d.close()
		return
	}
	d.startLinger()
}

// endMux ends the streams of an HTTP/2 connection, if it is one.
func (d *dconn) endMux() {
	if h := d.mux; h != nil && !h.over {
		h.conn.Abandon(http2.NoError)
		h.stop()
	}
}

// abort ends the connection with a reset.
func (d *dconn) abort() {
	if !d.closed {
		d.reset()
		d.close()
	}
}

func (d *dconn) close() {
	if d.closed {
		return
	}
	d.closed = true
	d.endMux()
	if d.tunnel != nil {
		d.tunnel.finish()
	}
	if d.active {
		d.stream.cancel("DC", "downstream_remote_disconnect")
	}
	d.hangUp()
	d.w.timers.drop(&d.timer)
	d.in.release(d.w)
	d.sock.close()
	d.w.conns.remove(d)
	d.acceptor.active.Add(-1)
	if d.chain != nil {
		d.chain.conns.cxActive.Add(-1)
	}
	d.yield()
	d.w.e.noteConn(-1)
}

// dconnList is the loop's connections.
type dconnList struct{ first *dconn }

func (l *dconnList) add(d *dconn) {
	d.next = l.first
	if l.first != nil {
		l.first.prev = d
	}
	l.first = d
}

// remove leaves d.next as it was, so that a walk can go on from d.
func (l *dconnList) remove(d *dconn) {
	if d.prev != nil {
		d.prev.next = d.next
	} else {
		l.first = d.next
	}
	if d.next != nil {
		d.next.prev = d.prev
	}
}
