package http2

import "github.com/meshc/meshc/dataplane/message"

// Stream is one request and its response on a Conn. The owner makes it, embeds
// it or keeps it beside its own state, and calls Release when it is done with
// the strings and the body. Its methods must not be called after Release.
type Stream struct {
	ID    uint32
	Owner any

	// Request is what a server has received; its Scheme is left to the owner.
	Request message.Request
	// Response is what a client has received.
	Response message.Response
	// Trailers stand behind the body that has been received.
	Trailers []message.Field
	Framing  message.Framing
	Length   int64 // when Framing is Length; of a response without body also what it tells, or -1
	Expect   bool  // Expect: 100-continue
	Fault    *Fault

	c          *Conn
	sendWindow int64
	recvWindow int64
	window     int64 // what recvWindow is brought back to
	held       int64 // taken by the owner and not yet given back to the peer
	unread     int64 // received and not yet taken by the owner
	left       int64 // of content-length, -1 without one
	opened     int64 // loop time
	head       bool  // client: HEAD was asked for
	headDone   bool  // the final head has come
	remoteDone bool  // the peer has ended its side
	localDone  bool
	closed     bool // no longer in the connection's table
	byPeer     bool // reset by the peer
	mem        [][]byte
}

// ResetByPeer says, in OnReset, that the peer has reset the stream, and not this
// side for the peer's fault.
func (s *Stream) ResetByPeer() bool { return s.byPeer }

// Closed says that no frame can be sent on the stream any more.
func (s *Stream) Closed() bool { return s.closed || s.localDone }

// RemoteDone says that the peer has sent all it will send.
func (s *Stream) RemoteDone() bool { return s.remoteDone }

// Room is how many bytes of body flow control lets through now.
func (s *Stream) Room() int { return int(max(min(s.sendWindow, s.c.sendWindow), 0)) }

// Consumed says that the owner has taken n bytes of body off the stream's hands:
// the peer may send as many again.
func (s *Stream) Consumed(n int) {
	c := s.c
	s.unread -= int64(n)
	c.unread -= int64(n)
	if !s.closed && !s.remoteDone {
		if s.held += int64(n); s.held >= s.window/2 {
			s.held += c.grow(s)
			c.windowUpdate(s.ID, s.held)
			s.recvWindow += s.held
			s.held = 0
		}
	}
	c.credit()
}

// grow widens the window of a stream that nobody keeps waiting.
func (c *Conn) grow(s *Stream) int64 {
	more := s.window
	if s.unread > 0 || 2*s.window > c.conf.MaxWindow || c.grown+more > c.conf.Grow {
		return 0
	}
	s.window += more
	c.grown += more
	return more
}

// Release gives back what the stream holds. Its frames, if more come, are
// discarded from now on.
func (s *Stream) Release(put func([]byte)) {
	s.c.unread -= s.unread
	s.unread = 0
	s.c.credit()
	for i, p := range s.mem {
		put(p)
		s.mem[i] = nil
	}
	*s = Stream{mem: s.mem[:0], Request: message.Request{Fields: s.Request.Fields[:0]},
		Response: message.Response{Fields: s.Response.Fields[:0]}, Trailers: s.Trailers[:0]}
}

// Respond sends a response head; end says that nothing follows.
func (s *Stream) Respond(r *message.Response, framing message.Framing, length int64, end bool) {
	c := s.c
	at := c.startHead(headEstimate(r.Fields))
	*c.out = appendResponse(*c.out, r, framing, length)
	c.endHead(at, s.ID, end)
	s.sent(end)
}

// Continue sends the interim response 100.
func (s *Stream) Continue() {
	r := message.Response{Status: 100}
	s.Respond(&r, message.NoBody, -1, false)
}

// SendData sends a piece of the body, at most Room bytes, in frames of at most
// MaxData; end says that nothing follows.
func (s *Stream) SendData(p []byte, end bool) {
	c := s.c
	for {
		n := min(len(p), MaxData)
		last := n == len(p)
		flags := byte(0)
		if last && end {
			flags = flagEndStream
		}
		c.reserve(frameHead + n)
		*c.out = appendFrameHead(*c.out, n, frameData, flags, s.ID)
		*c.out = append(*c.out, p[:n]...)
		s.sendWindow -= int64(n)
		c.sendWindow -= int64(n)
		c.guard.progress()
		if p = p[n:]; last {
			break
		}
	}
	s.sent(end)
}

// SendTrailers ends the stream with fields.
func (s *Stream) SendTrailers(fields []message.Field) {
	c := s.c
	at := c.startHead(headEstimate(fields))
	*c.out = appendFields(*c.out, fields)
	c.endHead(at, s.ID, true)
	s.sent(true)
}

func (s *Stream) sent(end bool) {
	if end {
		s.localDone = true
		s.c.retire(s)
	}
}

// Reset ends the stream at once, both ways. What the peer still sends on it is
// discarded.
func (s *Stream) Reset(code ErrCode) {
	if !s.closed {
		s.c.resetStream(s.ID, code)
		s.c.remove(s)
	}
}

func headEstimate(fields []message.Field) int {
	n := 256
	for i := range fields {
		n += len(fields[i].Name) + len(fields[i].Value) + 6
	}
	return n
}
