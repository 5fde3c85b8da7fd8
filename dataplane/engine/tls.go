package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"iter"
	"net"
	"time"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// tlsLayer runs crypto/tls on a non-blocking socket. It is the net.Conn that
// the tls.Conn sits on: reads come straight from the socket and end in
// errWouldBlock, after which crypto/tls resumes (it keeps its state when a read
// error is temporary); writes are collected and flushed by the loop. The
// handshake alone cannot be resumed that way, so it runs in a coroutine that is
// switched to when bytes arrive, on the thread of the loop, with no locks and no
// wake-ups.
type tlsLayer struct {
	s    *sock
	conn *tls.Conn

	peers snapshot.Peers // judges the peer after the handshake; nil: nobody does
	trust uint64         // Engine.trust when the handshake began

	enc    []byte // records that wait for the socket
	encPos int

	yield  func(struct{}) bool // set while the handshake runs
	resume func() (struct{}, bool)
	cancel func()
	err    error // the handshake's outcome
}

type wouldBlock struct{}

func (wouldBlock) Error() string   { return "operation would block" }
func (wouldBlock) Timeout() bool   { return true }
func (wouldBlock) Temporary() bool { return true }

var (
	errWouldBlock net.Error = wouldBlock{}
	errReset                = errors.New("connection reset by peer")
	// errCut is an end of the connection without close_notify. It must not be
	// io.EOF, which crypto/tls lets pass between records.
	errCut       = errors.New("connection ended without close_notify")
	errAbandoned = errors.New("handshake abandoned")
	errUnread    = errors.New("peer does not read")
)

// startTLS puts TLS on s and prepares the handshake; handshake drives it.
func (s *sock) startTLS(conf *tls.Config, peers snapshot.Peers, server bool) {
	t := &tlsLayer{s: s, peers: peers, trust: s.w.e.trust.Load()}
	if server {
		t.conn = tls.Server(t, conf)
	} else {
		t.conn = tls.Client(t, conf)
	}
	t.resume, t.cancel = iter.Pull(func(yield func(struct{}) bool) {
		t.yield = yield
		t.err = t.conn.HandshakeContext(context.Background())
		t.yield = nil
	})
	s.tls = t
}

// handshake goes on with the handshake until it is over or needs more bytes.
func (s *sock) handshake() (done bool, err error) {
	t := s.tls
	_, more := t.resume()
	if st := t.flushRecords(); st == ioError && more {
		return true, errReset
	}
	if more {
		return false, nil
	}
	t.resume = nil
	if t.err == nil && t.peers != nil && t.trust != s.w.e.trust.Load() {
		// The peer may have been verified by a bundle that has gone since.
		t.err = t.peers.Trusts(t.conn.ConnectionState().PeerCertificates)
	}
	return true, t.err
}

// maxRecords bounds what waits in enc. A handshake and maxPlaintext fit; answers
// to key updates that a peer asks for and never reads do not.
const maxRecords = 256 << 10

// maxPlaintext is how much is encrypted at once: its records fit a large buffer.
const maxPlaintext = 32 << 10

func (s *sock) flushTLS() ioState {
	t := s.tls
	for {
		if st := t.flushRecords(); st != ioOK {
			s.compact()
			return st
		}
		p := s.out[s.outPos:]
		if len(p) == 0 {
			return ioOK
		}
		p = p[:min(len(p), maxPlaintext)]
		if _, err := t.conn.Write(p); err != nil {
			return ioError
		}
		if s.outPos += len(p); s.outPos == len(s.out) {
			s.emptied()
		}
	}
}

func (t *tlsLayer) pending() bool { return t.encPos < len(t.enc) }

func (t *tlsLayer) flushRecords() ioState {
	if !t.pending() {
		return ioOK
	}
	n, st := t.s.writeRaw(t.enc[t.encPos:])
	if t.encPos += n; !t.pending() {
		t.s.w.bufs.put(t.enc)
		t.enc, t.encPos = nil, 0
	}
	return st
}

// stop ends the layer: an unfinished handshake is unwound, a finished one says
// close_notify as far as the socket takes it.
func (t *tlsLayer) stop() {
	if t.resume != nil {
		t.cancel()
	} else if t.err == nil {
		_ = t.conn.CloseWrite()
		_ = t.flushRecords()
	}
	if t.enc != nil {
		t.s.w.bufs.put(t.enc)
		t.enc, t.encPos = nil, 0
	}
}

// Read, Write and the rest make it a net.Conn for crypto/tls alone.
func (t *tlsLayer) Read(p []byte) (int, error) {
	for {
		n, st := t.s.readRaw(p)
		switch st {
		case ioOK:
			return n, nil
		case ioEOF:
			return 0, errCut
		case ioError:
			return 0, errReset
		}
		if t.yield == nil {
			return 0, errWouldBlock
		}
		if !t.yield(struct{}{}) {
			return 0, errAbandoned
		}
	}
}

func (t *tlsLayer) Write(p []byte) (int, error) {
	if len(t.enc)-t.encPos > maxRecords {
		return 0, errUnread
	}
	t.enc = append(t.s.w.bufs.extend(t.enc, len(p)), p...)
	return len(p), nil
}

// Close does nothing: the socket belongs to the loop.
func (t *tlsLayer) Close() error                     { return nil }
func (t *tlsLayer) LocalAddr() net.Addr              { return fdAddr{} }
func (t *tlsLayer) RemoteAddr() net.Addr             { return fdAddr{} }
func (t *tlsLayer) SetDeadline(time.Time) error      { return nil }
func (t *tlsLayer) SetReadDeadline(time.Time) error  { return nil }
func (t *tlsLayer) SetWriteDeadline(time.Time) error { return nil }

// fdAddr stands for addresses that crypto/tls carries but never looks at.
type fdAddr struct{}

func (fdAddr) Network() string { return "tcp" }
func (fdAddr) String() string  { return "" }

var _ net.Conn = (*tlsLayer)(nil)
