package engine

import (
	"slices"

	"github.com/meshc/meshc/dataplane/http2"
)

// mux runs an HTTP/2 connection on a socket: what is read is fed to the codec,
// what the codec says is written once per turn of the loop, for all streams
// together.
type mux struct {
	sock  *sock
	owner muxOwner
	conn  *http2.Conn

	in      []byte
	have    int
	big     bool // a read has filled the buffer
	feeding bool // in is in use
	over    bool // nothing is read or written any more

	blocked []blockedStream // wait for room on the socket
	starved []blockedStream // wait for the peer to open a window
	waking  []blockedStream // are being woken; nil: has ended meanwhile
	dirty   bool
	queued  bool
	failed  bool  // writing has failed; found out about in this turn's flush
	held    bool  // input waits until output has gone
	sent    bool  // some output has gone since the end of the last turn
	whole   bool  // a frame, or a part of a body, has come since the owner looked
	heardAt int64 // when the last one came
}

// muxOwner is the connection that a mux is part of.
type muxOwner interface {
	// muxBroken: the connection has failed, or err says how the peer has broken
	// the protocol. All that could be written has been.
	muxBroken(err error)
	// muxWritten: all output is with the kernel.
	muxWritten()
	// muxWaits: some output waits for the peer to read; moved: some has gone.
	muxWaits(moved bool)
}

// blockedStream is a stream that could not send.
type blockedStream interface {
	waitsFor() *waiting
	unblock()
}

// waiting is in which lists a stream is.
type waiting struct{ blocked, starved bool }

// h2Defaults are the windows and limits of both sides. Streams that nobody reads
// hold 64 KiB each, 6.4 MiB in all; those that are read may grow to 1 MiB, and by
// 8 MiB in all, so that a long way does not slow them.
var h2Defaults = http2.Config{
	MaxStreams:   100,
	StreamWindow: 64 << 10,
	ConnWindow:   1 << 20,
	Grow:         8 << 20,
	MaxWindow:    1 << 20,
}

func (m *mux) start(s *sock, owner muxOwner, conf http2.Config, events http2.Events) {
	m.sock, m.owner = s, owner
	m.conn = http2.NewConn(conf, events, &s.out, s.w.bufs.extend)
	m.touch()
}

// touch has the output written at the end of this turn.
func (m *mux) touch() {
	if !m.dirty {
		m.dirty = true
		m.sock.w.dirty = append(m.sock.w.dirty, m)
	}
}

// flushAt is how much output is written at once and not kept for the end of the
// turn.
const flushAt = 32 << 10

// wrote is called when a stream has said something.
func (m *mux) wrote() {
	m.touch()
	if len(m.sock.out) >= flushAt {
		m.flush()
	}
}

func (m *mux) flush() {
	before := m.sock.waits()
	if !m.failed && m.sock.flush() == ioError {
		m.failed = true
	}
	m.sent = m.sent || m.sock.waits() < before
}

// flushNow is the end of the turn.
func (m *mux) flushNow() {
	m.dirty = false
	if m.over {
		return
	}
	m.flush()
	if m.failed {
		m.owner.muxBroken(nil)
		return
	}
	if len(m.blocked) > 0 && m.sock.room() >= minRoom {
		m.wakeBlocked()
	}
	moved := m.sent
	m.sent = false
	switch {
	case m.over:
	case m.sock.pendingOut():
		m.owner.muxWaits(moved)
	default:
		m.owner.muxWritten()
	}
	if m.held && !m.over && !m.conn.Holding() {
		m.held = false
		m.sock.w.later(m)
	}
}

// feed puts a first piece of input before what the socket will give.
func (m *mux) feed(p []byte) {
	m.in = m.sock.w.bufs.get(mediumBuf)
	m.have = copy(m.in, p)
	m.sock.readable = true
}

// read takes in what the socket has, up to the share of one turn.
func (m *mux) read() {
	for range maxTurns {
		if m.held = !m.over && m.conn.Holding(); m.over || m.held {
			return
		}
		st := m.fill()
		if !m.digest() {
			return
		}
		switch st {
		case ioOK:
		case ioAgain:
			return
		default:
			m.owner.muxBroken(nil)
			return
		}
	}
	m.sock.w.later(m)
}

func (m *mux) fill() ioState {
	size := mediumBuf
	if m.big {
		size = largeBuffer
	}
	switch {
	case m.in == nil:
		m.in = m.sock.w.bufs.get(size)
	case m.have == len(m.in):
		bigger := m.sock.w.bufs.get(largeBuffer)
		copy(bigger, m.in[:m.have])
		m.sock.w.bufs.put(m.in)
		m.in = bigger
	}
	n, st := m.sock.read(m.in[m.have:])
	m.have += n
	m.big = m.have == len(m.in)
	return st
}

// digest feeds the codec; false: the connection is over.
func (m *mux) digest() bool {
	m.feeding = true
	used, err := m.conn.Feed(m.in[:m.have], m.sock.w.now)
	m.feeding = false
	if used > 0 {
		m.whole, m.heardAt = true, m.sock.w.now
	}
	m.touch()
	if m.over {
		m.releaseInput()
		return false
	}
	m.have = copy(m.in, m.in[used:m.have])
	if m.have == 0 {
		m.releaseInput()
	}
	if err != nil {
		m.flush()
		m.owner.muxBroken(err)
		return false
	}
	return true
}

func (m *mux) isQueued() *bool { return &m.queued }

func (m *mux) onTurn() {
	if !m.over {
		m.read()
	}
}

// wakeBlocked runs the streams that wait for the socket, in the order in which
// they came: whoever is still short of room waits behind the others.
func (m *mux) wakeBlocked() {
	list := m.blocked
	m.blocked = nil
	m.wake(list, func(w *waiting) { w.blocked = false })
	if m.blocked == nil {
		m.blocked = list[:0]
	}
}

// wakeStarved runs the streams that wait for a window.
func (m *mux) wakeStarved() {
	list := m.starved
	m.starved = nil
	m.wake(list, func(w *waiting) { w.starved = false })
	if m.starved == nil {
		m.starved = list[:0]
	}
}

// wake runs the streams of a list that nobody else appends to.
func (m *mux) wake(list []blockedStream, clear func(*waiting)) {
	m.waking = list
	for i := range list {
		if s := list[i]; s != nil {
			list[i] = nil
			clear(s.waitsFor())
			s.unblock()
		}
	}
	m.waking = nil
}

// forget takes a stream that has ended out of the lists, because it will carry
// another request, perhaps of another connection, which must not take itself for
// one that waits already.
func (m *mux) forget(s blockedStream) {
	waits := s.waitsFor()
	if !waits.blocked && !waits.starved {
		return
	}
	*waits = waiting{}
	is := func(other blockedStream) bool { return other == s }
	m.blocked = slices.DeleteFunc(m.blocked, is)
	m.starved = slices.DeleteFunc(m.starved, is)
	for i := range m.waking {
		if m.waking[i] == s {
			m.waking[i] = nil
		}
	}
}

func (m *mux) releaseInput() {
	if m.in != nil && !m.feeding {
		m.sock.w.bufs.put(m.in)
		m.in, m.have = nil, 0
	}
}

// stop ends the mux, before its socket is closed.
func (m *mux) stop() {
	m.over = true
	m.releaseInput()
	m.blocked, m.starved = nil, nil
}

// room is how much body a stream may send now. When that is nothing, s is run
// again once it is more.
func (m *mux) room(st *http2.Stream, s blockedStream) int {
	waits := s.waitsFor()
	if m.sock.room() < minRoom {
		if !waits.blocked {
			waits.blocked = true
			m.blocked = append(m.blocked, s)
		}
		return 0
	}
	n := st.Room()
	if n == 0 && !waits.starved {
		waits.starved = true
		m.starved = append(m.starved, s)
	}
	return min(n, m.sock.room()-http2.DataOverhead)
}

// bodyQueue holds what has been received of a body and not passed on. Flow
// control bounds it.
type bodyQueue struct {
	chunks [][]byte // cap is the buffer's
	pos    int      // in the first
	spent  []byte   // what the last piece was taken from
	direct []byte   // a piece that is still in the connection's buffer
	ended  bool     // nothing comes behind
}

func (q *bodyQueue) empty() bool { return len(q.chunks) == 0 && len(q.direct) == 0 }

// done says that all has been taken.
func (q *bodyQueue) done() bool { return q.ended && q.empty() }

// store keeps what is left of the direct piece.
func (q *bodyQueue) store(w *worker) {
	p := q.direct
	q.direct = nil
	for len(p) > 0 {
		if n := len(q.chunks); n > 0 {
			last := q.chunks[n-1]
			if k := min(cap(last)-len(last), len(p)); k > 0 {
				q.chunks[n-1] = append(last, p[:k]...)
				p = p[k:]
				continue
			}
		}
		size := smallBuffer
		if len(p) > smallBuffer {
			size = mediumBuf
		}
		q.chunks = append(q.chunks, w.bufs.get(size)[:0])
	}
}

// next takes a piece of at most max bytes; it lives until the next call.
func (q *bodyQueue) next(w *worker, max int) []byte {
	q.drop(w)
	if len(q.chunks) == 0 {
		p := q.direct[:min(len(q.direct), max)]
		q.direct = q.direct[len(p):]
		return p
	}
	first := q.chunks[0]
	p := first[q.pos:min(q.pos+max, len(first))]
	if q.pos += len(p); q.pos == len(first) {
		q.spent = first
		q.chunks = append(q.chunks[:0], q.chunks[1:]...)
		q.pos = 0
	}
	return p
}

func (q *bodyQueue) drop(w *worker) {
	if q.spent != nil {
		w.bufs.put(q.spent)
		q.spent = nil
	}
}

func (q *bodyQueue) release(w *worker) {
	q.drop(w)
	for i, p := range q.chunks {
		w.bufs.put(p)
		q.chunks[i] = nil
	}
	*q = bodyQueue{chunks: q.chunks[:0]}
}

// headBuffer gives the codec room for the strings of a head.
func (w *worker) headBuffer(n int) []byte {
	if n > largeBuffer {
		return make([]byte, n)
	}
	return w.bufs.get(n)
}
