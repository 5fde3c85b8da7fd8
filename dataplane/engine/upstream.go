package engine

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/meshc/meshc/dataplane/http1"
	"github.com/meshc/meshc/dataplane/message"
)

// uconn is one HTTP/1.1 connection to an endpoint. It carries one stream at a
// time and goes back to its host's pool only when request and response are
// complete and nothing about their framing is in doubt.
type uconn struct {
	sock
	host     *host
	s        *stream // nil while idle
	phase    upState
	in       input
	from     int    // of HeadEnd
	interim  int    // responses before the final one
	carried  uint32 // requests so far
	retireAt int64  // the connection takes no new request from then on; 0: never
	resp     http1.Response
	head     responseHead
	chunks   http1.ChunkReader
	err      error // why the connection is of no use

	distrusted bool // its server is trusted no more: it takes no new request

	framing  http1.Framing // of the request being sent; UntilClose: it asks to change to another protocol
	ending   bool          // what is in out is the last of it
	bodyLeft int64
	attempt
	timer timer
}

type upState uint8

const (
	upConnecting upState = iota
	upHandshake
	upActive
	upIdle
	upClosed
)

// connect starts a connection for s, which has been counted as pending. When it
// gives false, s has failed.
func (h *host) connect(s *stream) bool {
	u := &uconn{host: h, s: s}
	u.timer.owner = u
	if !h.dial(&u.sock, u, &u.timer) {
		h.connectFailed()
		h.pool.brk.Pending.Release()
		s.fail(failConnect)
		return false
	}
	s.up = u
	return true
}

// dial starts a connection whose events go to owner, as does its timer when the
// time to connect is over. It gives false when it could not even be tried.
func (h *host) dial(s *sock, owner handler, timeout *timer) bool {
	w := h.pool.w
	fd, err := h.socket()
	if err == nil {
		s.w, s.fd = w, fd
		if err = w.register(s, owner); err != nil {
			_ = unix.Close(fd)
		}
	}
	if err != nil {
		w.e.log.Warn("cannot connect", "cluster", h.pool.key.name, "error", err)
		return false
	}
	h.opened()
	w.timers.set(timeout, w.now+h.pool.connectTimeout)
	return true
}

// handshakeFailed counts a TLS handshake with the endpoint that failed.
func (h *host) handshakeFailed(err error) {
	h.pool.w.e.log.Debug("TLS handshake failed", "cluster", h.pool.key.name, "endpoint", h.text, "error", err)
	h.pool.stats.tlsError.Inc()
}

// socket makes a socket and starts to connect it.
func (h *host) socket() (int, error) {
	family, sa := sockaddr(h.addr)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	keepAlive(fd, h.pool.snap.Keepalive)
	if err := unix.Connect(fd, sa); err != nil && err != unix.EINPROGRESS {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("connect %s: %w", h.text, err)
	}
	return fd, nil
}

func (u *uconn) onEvent() {
	switch u.phase {
	case upConnecting:
		u.onConnected()
	case upHandshake:
		u.runHandshake()
	case upActive:
		u.s.d.run()
	case upIdle:
		if !u.alive() {
			u.close()
		}
	}
}

func (u *uconn) onConnected() {
	if !u.writable {
		return
	}
	if u.unconnected() || !u.host.announce(&u.sock) {
		u.connectFailed(failConnect)
		return
	}
	conf := u.host.pool.snap.TLS
	if conf == nil {
		u.ready()
		return
	}
	u.phase = upHandshake
	u.startTLS(conf, u.host.pool.snap.Peers, false)
	u.runHandshake()
}

func (u *uconn) runHandshake() {
	switch done, err := u.handshake(); {
	case !done:
	case err != nil:
		u.host.handshakeFailed(err)
		u.connectFailed(failConnect)
	default:
		u.ready()
	}
}

func (u *uconn) ready() {
	u.phase = upActive
	u.w.timers.set(&u.timer, 0)
	u.retireAt = u.host.pool.retireAt()
	s := u.s
	brk := u.host.pool.brk
	brk.Pending.Release()
	if !brk.Requests.Free() {
		u.spare(s)
		return
	}
	u.carried++
	s.connected(u)
	s.d.run()
}

func (u *uconn) connectFailed(why failure) {
	if why == failConnectTimeout {
		u.host.pool.stats.connectTimeout.Inc()
	}
	u.host.connectFailed()
	s := u.s
	s.fail(why)
	s.d.run()
}

func (u *uconn) onTimer() {
	switch u.phase {
	case upConnecting, upHandshake:
		u.connectFailed(failConnectTimeout)
	case upIdle:
		u.close()
	}
}

// spare pools a new connection whose stream s must not start: others have
// reached the limit of requests while it was being made.
func (u *uconn) spare(s *stream) {
	u.s, s.up = nil, nil
	u.phase = upIdle
	u.host.put(u)
	u.host.overflow(s)
	s.d.run()
}

// alive asks an idle connection that has had an event. Anything but silence is
// the end: a close, or bytes that nobody asked for.
func (u *uconn) alive() bool {
	return !u.readable && !u.hup || u.silent()
}

// silent looks for bytes that nobody asked for. They could be the beginning of
// an answer to a request that is still to come; TLS may have taken them from the
// socket already, so that no event will tell of them.
func (u *uconn) silent() bool {
	_, st := u.read(u.w.scratch[:])
	return st == ioAgain && !u.hup
}

// attach gives an idle connection to s.
func (u *uconn) attach(s *stream) {
	u.s, u.phase = s, upActive
	u.w.timers.set(&u.timer, 0)
	u.carried++
	s.connected(u)
}

// detach ends the exchange; keep says that the stream is content.
func (u *uconn) detach(keep bool) {
	u.s = nil
	if u.phase == upConnecting || u.phase == upHandshake {
		u.host.pool.brk.Pending.Release()
		u.close()
		return
	}
	clean := keep && u.bodyEnd && !u.resp.Close && !u.broken && u.err == nil && len(u.in.bytes()) == 0 && !u.pendingOut()
	u.host.finished()
	if !clean || u.host.gone || u.distrusted || u.hup || u.spent() || !u.silent() {
		u.close()
		return
	}
	u.in.next(u.w)
	u.resp.Fields = u.head.Fields // which may have grown
	u.from, u.interim, u.attempt = 0, 0, attempt{reused: true}
	u.phase = upIdle
	u.host.put(u)
}

func (u *uconn) close() {
	if u.phase == upClosed {
		return
	}
	if u.phase == upIdle {
		u.host.remove(u)
	}
	u.phase = upClosed
	u.w.timers.drop(&u.timer)
	u.in.release(u.w)
	u.sock.close()
	u.host.closed()
}

func (u *uconn) sendHead(r *message.Request, framing message.Framing, length int64) {
	u.framing, u.sentHead = framing, true
	u.host.started()
	u.out = u.w.bufs.extend(u.out, len(r.Target)+len(r.Authority)+headEstimate(r.Fields))
	if to := u.s.req.upgrade; to != "" {
		u.framing = http1.UntilClose
		u.out = http1.AppendUpgradeRequest(u.out, r, to)
		return
	}
	u.out = http1.AppendRequest(u.out, r, framing, length)
}

func (u *uconn) sendBody(piece []byte, _ bool) ioState {
	if u.framing != http1.Chunked {
		return u.writeBody(piece)
	}
	if len(piece) > 0 { // an empty chunk would end the body
		u.out = u.w.bufs.extend(u.out, len(piece)+http1.ChunkOverhead)
		u.out = http1.AppendChunk(u.out, piece)
	}
	return ioOK
}

func (u *uconn) sendEnd([]message.Field) {
	switch u.framing {
	case http1.Chunked:
		u.out = u.w.bufs.extend(u.out, http1.ChunkOverhead)
		u.out = http1.AppendLastChunk(u.out)
	case http1.UntilClose:
		u.ending = true
	}
}

func (u *uconn) room() int { return h1Room(&u.sock) }

// failure says how a read that did not go on has ended.
func (u *uconn) failure() failure {
	if u.err != nil {
		return failProtocol
	}
	return failReset
}

// readHead reads up to a final response head. Interim responses are dropped:
// 100 has been answered by us, the others are advice.
func (u *uconn) readHead() (*responseHead, ioState) {
	lim := &http1.DefaultLimits
	for {
		if p := u.in.bytes(); len(p) > 0 {
			u.answered = true
			end, next, err := http1.HeadEnd(p, u.from, lim.HeadBytes)
			u.from = next
			if err == nil && end > 0 {
				err = http1.ParseUpgrade(p[:end], u.s.req.Method, u.s.req.upgrade, lim, &u.resp)
			}
			switch {
			case err != nil:
				u.err = err
				return nil, ioError
			case end > 0 && u.resp.Status < 200 && u.resp.Status != 101:
				u.in.consume(end)
				u.from = 0
				if u.interim++; u.interim > maxInterim {
					u.err = errInterim
					return nil, ioError
				}
				continue
			case end > 0:
				u.in.headDone(end)
				u.from = 0
				u.startBody()
				u.head = responseHead{Response: u.resp.Response, framing: u.resp.Framing, length: u.resp.Length}
				return &u.head, ioOK
			}
		}
		if st := u.in.fill(&u.sock, mediumBuf, lim.HeadBytes); st != ioOK {
			if st == ioFull {
				u.err = errHeadTooLarge
			}
			return nil, st
		}
	}
}

var (
	errHeadTooLarge = errors.New("response head too large")
	errInterim      = errors.New("too many interim responses")
)

// maxInterim bounds the interim responses to one request: an upstream that only
// sends those would keep the loop to itself.
const maxInterim = 32

// trailers are checked and dropped by the chunk reader.
func (u *uconn) trailers() []message.Field { return nil }

func (u *uconn) startBody() {
	u.chunks = http1.ChunkReader{}
	u.bodyLeft = u.resp.Length
	u.bodyEnd = u.resp.Framing == http1.NoBody || u.resp.Framing == http1.Length && u.resp.Length == 0
}

func (u *uconn) readBody(max int) (piece []byte, end bool, st ioState) {
	for !u.bodyEnd {
		p := u.in.bytes()
		if len(p) == 0 {
			st := u.in.fill(&u.sock, mediumBuf, largeBuffer)
			if st == ioEOF && u.resp.Framing == http1.UntilClose {
				u.bodyEnd = true
				break
			}
			if st != ioOK {
				return nil, false, st
			}
			p = u.in.bytes()
		}
		p = p[:min(len(p), max)]
		switch u.resp.Framing {
		case http1.Length:
			p = p[:min(int64(len(p)), u.bodyLeft)]
			u.bodyLeft -= int64(len(p))
			u.bodyEnd = u.bodyLeft == 0
			fallthrough
		case http1.UntilClose:
			u.in.consume(len(p))
			return p, u.bodyEnd, ioOK
		}
		data, n, done, err := u.chunks.Next(p)
		u.in.consume(n)
		if err != nil {
			u.err = err
			return nil, false, ioError
		}
		u.bodyEnd = done
		if len(data) > 0 {
			return data, false, ioOK
		}
	}
	return nil, true, ioOK
}

var (
	_ upstream   = (*uconn)(nil)
	_ downstream = (*dconn)(nil)
)
