package engine

import (
	"crypto/tls"
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"github.com/meshc/meshc/dataplane/http1"
)

// ioState is how a read or write ended.
type ioState uint8

const (
	ioOK    ioState = iota
	ioAgain         // nothing now; an event will come
	ioEOF           // the peer has ended its side, cleanly
	ioError         // reset, or a broken TLS record
	ioFull          // the buffer has reached its limit
)

// sock is one connected, non-blocking socket of one event loop, with TLS or
// without. It is registered once, edge-triggered, for everything; readable and
// writable remember what epoll said until a short read or write takes it back.
type sock struct {
	w        *worker
	fd       int
	slot     int32
	readable bool
	writable bool
	hup      bool // the peer has shut down its side, or more
	out      []byte
	outPos   int
	tls      *tlsLayer
}

// unconnected says that the connection could not be made, or has been reset.
func (s *sock) unconnected() bool {
	errno, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	return err != nil || errno != 0
}

// handler gets the events of a sock, after its flags are set.
type handler interface{ onEvent() }

// maxOut is how much may wait in out before the other side is not read any more.
const maxOut = largeBuffer - 1024

// read fills p once. A short read means that the kernel has no more, so the
// next call need not ask; an end that epoll has already told of is the
// exception.
func (s *sock) read(p []byte) (int, ioState) {
	if s.tls != nil {
		return s.readTLS(p)
	}
	return s.readRaw(p)
}

func (s *sock) readRaw(p []byte) (int, ioState) {
	if !s.readable {
		return 0, ioAgain
	}
	n, errno := sysRead(s.fd, p)
	switch {
	case errno == unix.EAGAIN:
		s.readable = false
		return 0, ioAgain
	case errno != 0:
		return 0, ioError
	case n == 0:
		return 0, ioEOF
	case n < len(p) && !s.hup:
		s.readable = false
	}
	return n, ioOK
}

// readTLS tells a clean end (close_notify) from a cut: only the first is an end
// of a body that lasts until close.
func (s *sock) readTLS(p []byte) (int, ioState) {
	n, err := s.tls.conn.Read(p)
	switch {
	case n > 0:
		return n, ioOK
	case errors.Is(err, errWouldBlock):
		return 0, ioAgain
	case err == io.EOF:
		return 0, ioEOF
	}
	return 0, ioError
}

// h1Room is how much body an HTTP/1.1 connection takes now: nothing, or enough to
// be worth reading for.
func h1Room(s *sock) int {
	if n := s.room() - http1.ChunkOverhead; n >= minRoom {
		return n
	}
	return 0
}

// room is how much may be appended to out.
func (s *sock) room() int { return maxOut - (len(s.out) - s.outPos) }

func (s *sock) pendingOut() bool { return len(s.out) > s.outPos || s.tls != nil && s.tls.pending() }

// waits is how many bytes wait, encrypted or not.
func (s *sock) waits() int {
	n := len(s.out) - s.outPos
	if s.tls != nil {
		n += len(s.tls.enc) - s.tls.encPos
	}
	return n
}

// directWrite is from where on body bytes skip out when nothing waits there.
const directWrite = 8 << 10

// writeBody sends p now if it is big and nothing waits, else appends it to out.
func (s *sock) writeBody(p []byte) ioState {
	if len(p) >= directWrite && len(s.out) == s.outPos && s.tls == nil && s.writable {
		n, errno := sysWrite(s.fd, p)
		switch {
		case errno == unix.EAGAIN:
			s.writable, n = false, 0
		case errno != 0:
			return ioError
		case n < len(p):
			s.writable = false
		}
		p = p[n:]
	}
	s.append(p)
	return ioOK
}

func (s *sock) append(p []byte) {
	if len(p) == 0 {
		return
	}
	s.out = s.w.bufs.extend(s.out, len(p))
	s.out = append(s.out, p...)
}

// flush writes what waits. ioAgain: the socket is full, an event will come.
func (s *sock) flush() ioState {
	if s.tls != nil {
		return s.flushTLS()
	}
	n, st := s.writeRaw(s.out[s.outPos:])
	if s.outPos += n; s.outPos == len(s.out) {
		s.emptied()
	}
	s.compact()
	return st
}

// compact gives back the room of what is written: a reader that always leaves
// something behind would otherwise make out grow with all it has ever read.
func (s *sock) compact() {
	if s.outPos > 0 {
		s.out = s.out[:copy(s.out, s.out[s.outPos:])]
		s.outPos = 0
	}
}

func (s *sock) writeRaw(p []byte) (int, ioState) {
	if len(p) == 0 {
		return 0, ioOK
	}
	if !s.writable {
		return 0, ioAgain
	}
	n, errno := sysWrite(s.fd, p)
	switch {
	case errno == unix.EAGAIN:
		s.writable = false
		return 0, ioAgain
	case errno != 0:
		return 0, ioError
	case n < len(p):
		s.writable = false
		return n, ioAgain
	}
	return n, ioOK
}

func (s *sock) emptied() {
	if s.out != nil {
		s.w.bufs.put(s.out)
		s.out = nil
	}
	s.outPos = 0
}

// reset makes the coming close a TCP reset without close_notify, so that the
// peer cannot take a broken-off body for a whole one.
func (s *sock) reset() {
	if s.tls != nil {
		s.tls.err = errReset
	}
	_ = unix.SetsockoptLinger(s.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}

func (s *sock) close() {
	s.emptied()
	if s.tls != nil {
		s.tls.stop()
	}
	s.w.unregister(s.slot)
	_ = unix.Close(s.fd)
	s.fd = -1
}

func (s *sock) connectionState() *tls.ConnectionState {
	if s.tls == nil {
		return nil
	}
	cs := s.tls.conn.ConnectionState()
	return &cs
}
