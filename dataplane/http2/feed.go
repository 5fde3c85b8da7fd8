package http2

import "github.com/meshc/meshc/dataplane/message"

// holdAt is how much output may wait before no more input is looked at: what a
// peer makes us say, it must also read.
const holdAt = 256 << 10

// Holding says that Feed waits for output to be taken away.
func (c *Conn) Holding() bool { return len(*c.out) > holdAt }

// Feed takes in bytes of the peer's and gives how many it has used; the rest is
// the beginning of a frame, or waits until Holding ends, and is to be fed again
// with what follows. now is the owner's clock, in ns. After an error, a GOAWAY has been written and the
// connection is to be closed; its streams are the owner's to end.
func (c *Conn) Feed(p []byte, now int64) (n int, err error) {
	c.now = now
	for !c.failed && !c.Holding() {
		used, e := c.step(p[n:])
		n += used
		if e != nil {
			c.fail(e)
			return n, e
		}
		if used == 0 {
			break
		}
	}
	return n, nil
}

// NeedsFrame is how many bytes a frame may need in one piece.
const NeedsFrame = frameHead + maxFrame

func (c *Conn) step(p []byte) (int, *Error) {
	if c.preface < len(Preface) {
		return c.readPreface(p)
	}
	if c.data.open {
		return c.feedData(p), nil
	}
	if len(p) < frameHead {
		return 0, nil
	}
	length := int(p[0])<<16 | int(p[1])<<8 | int(p[2])
	t, flags, id := frameType(p[3]), p[4], uint31(p[5:])
	switch {
	case length > maxFrame:
		return 0, &Error{FrameSizeError, "frame_too_large"}
	case c.block.id != 0 && (t != frameContinuation || id != c.block.id):
		return 0, protocolError("header_block_interrupted")
	case !c.settled && (t != frameSettings || flags&flagAck != 0):
		return 0, protocolError("settings_expected")
	case t == frameData:
		return c.startData(p, length, flags, id)
	case len(p) < frameHead+length:
		return 0, nil
	}
	return frameHead + length, c.frame(t, flags, id, p[frameHead:frameHead+length])
}

func (c *Conn) readPreface(p []byte) (int, *Error) {
	n := min(len(p), len(Preface)-c.preface)
	if string(p[:n]) != Preface[c.preface:c.preface+n] {
		return 0, protocolError("invalid_preface")
	}
	c.preface += n
	return n, nil
}

func (c *Conn) frame(t frameType, flags byte, id uint32, p []byte) *Error {
	switch t {
	case frameHeaders:
		return c.onHeaders(flags, id, p)
	case frameContinuation:
		return c.onContinuation(flags, id, p)
	case frameRSTStream:
		return c.onReset(id, p)
	case frameWindowUpdate:
		return c.onWindowUpdate(id, p)
	case frameSettings:
		return c.onSettings(flags, id, p)
	case framePing:
		return c.onPing(flags, id, p)
	case frameGoAway:
		return c.onGoAway(id, p)
	case framePriority:
		return c.onPriority(id, p)
	case framePushPromise:
		return protocolError("push_promise")
	}
	return c.nuisance()
}

func (c *Conn) nuisance() *Error {
	if !c.guard.nuisance(c.now) {
		return &Error{EnhanceYourCalm, "too_many_control_frames"}
	}
	return nil
}

// idle says that no side has opened the stream yet.
func (c *Conn) idle(id uint32) bool {
	if c.conf.Server {
		return id%2 == 0 || id > c.lastID
	}
	return id%2 == 0 || id >= c.nextID
}

// streamError resets a stream for the peer's fault.
func (c *Conn) streamError(id uint32, code ErrCode) *Error {
	s := c.streams[id]
	age := int64(0)
	if s != nil {
		age = c.now - s.opened
	}
	c.resetStream(id, code)
	if s != nil {
		c.remove(s)
		c.events.OnReset(s, code, false)
	}
	if c.conf.Server && !c.guard.cutShort(age) {
		return &Error{EnhanceYourCalm, "too_many_stream_errors"}
	}
	return c.nuisance()
}

// startData judges a DATA frame by its head; the payload is taken as it comes.
func (c *Conn) startData(p []byte, length int, flags byte, id uint32) (int, *Error) {
	used, padding, size := frameHead, 0, length
	if id == 0 {
		return 0, protocolError("data_without_stream")
	}
	if flags&flagPadded != 0 {
		if length == 0 {
			return 0, &Error{FrameSizeError, "padding_missing"}
		}
		if len(p) < frameHead+1 {
			return 0, nil
		}
		used++
		padding = int(p[frameHead])
		if size -= 1 + padding; size < 0 {
			return 0, protocolError("padding_too_long")
		}
	}
	if c.idle(id) {
		return 0, protocolError("data_on_idle_stream")
	}
	if int64(length) > c.recvWindow {
		return 0, &Error{FlowControlError, "connection_window_exceeded"}
	}
	c.recvWindow -= int64(length)
	c.owed += int64(length)
	end := flags&flagEndStream != 0
	s, err := c.dataStream(id, length, size, end)
	if err != nil {
		return 0, err
	}
	if s != nil && length > size {
		s.Consumed(length - size) // padding is nobody's to read
	}
	if s == nil || size == 0 && !end {
		if err := c.nuisance(); err != nil {
			return 0, err
		}
	} else {
		c.guard.progress()
	}
	c.data = dataFrame{s: s, open: true, left: size, padding: padding, end: end}
	c.data.open = size+padding > 0
	if size == 0 && end && s != nil {
		c.remoteEnd(s)
		c.events.OnEnd(s)
	}
	c.credit()
	return used, nil
}

// dataStream finds the stream of a DATA frame; nil: its payload is discarded.
func (c *Conn) dataStream(id uint32, length, size int, end bool) (*Stream, *Error) {
	s := c.streams[id]
	switch {
	case s == nil && c.forgot.has(id):
		return nil, nil
	case s == nil || s.remoteDone:
		return nil, c.streamError(id, StreamClosed)
	case !c.conf.Server && !s.headDone:
		return nil, c.streamError(id, ProtocolError)
	case int64(length) > s.recvWindow:
		return nil, c.streamError(id, FlowControlError)
	}
	if s.left >= 0 {
		s.left -= int64(size)
		if s.left < 0 || end && s.left > 0 {
			return nil, c.streamError(id, ProtocolError)
		}
	}
	s.recvWindow -= int64(length)
	s.unread += int64(length)
	c.unread += int64(length)
	return s, nil
}

func (c *Conn) feedData(p []byte) (n int) {
	d := &c.data
	if d.left > 0 {
		n = min(len(p), d.left)
		if n == 0 {
			return 0
		}
		d.left -= n
		if s := d.s; s != nil {
			last := d.left == 0 && d.end
			if last {
				c.remoteEnd(s)
			}
			c.events.OnData(s, p[:n], last)
		}
	} else {
		n = min(len(p), d.padding)
		d.padding -= n
	}
	d.open = d.left+d.padding > 0
	return n
}

func (c *Conn) remoteEnd(s *Stream) {
	c.data.s = nil
	s.remoteDone = true
	c.retire(s)
}

func (c *Conn) onHeaders(flags byte, id uint32, p []byte) *Error {
	if id == 0 {
		return protocolError("headers_without_stream")
	}
	padding := 0
	if flags&flagPadded != 0 {
		if len(p) < 1 {
			return &Error{FrameSizeError, "padding_missing"}
		}
		padding, p = int(p[0]), p[1:]
	}
	self := false
	if flags&flagPriority != 0 {
		if len(p) < 5 {
			return &Error{FrameSizeError, "priority_missing"}
		}
		self = uint31(p) == id
		p = p[5:]
	}
	if padding > len(p) {
		return protocolError("padding_too_long")
	}
	p = p[:len(p)-padding]
	if flags&flagEndHeaders != 0 {
		return c.onBlock(id, flags, p, self)
	}
	c.block = block{id: id, flags: flags, bytes: append(c.block.bytes[:0], p...), self: self}
	return nil
}

// maxParts bounds the frames of one header block, beyond what its size needs.
const maxParts = 16

func (c *Conn) onContinuation(flags byte, id uint32, p []byte) *Error {
	b := &c.block
	if b.id == 0 {
		return protocolError("continuation_without_headers")
	}
	b.parts++
	if len(b.bytes)+len(p) > c.conf.Limits.HeadBytes || b.parts > maxParts {
		return &Error{EnhanceYourCalm, "header_block_too_large"}
	}
	b.bytes = append(b.bytes, p...)
	if flags&flagEndHeaders == 0 {
		return nil
	}
	whole := b.bytes
	first, self := b.flags, b.self
	c.block = block{}
	return c.onBlock(id, first, whole, self)
}

// onBlock takes a complete header block. It is decoded whatever becomes of it:
// the tables of both sides must stay in step.
func (c *Conn) onBlock(id uint32, flags byte, p []byte, self bool) *Error {
	end := flags&flagEndStream != 0
	s := c.streams[id]
	switch {
	case s != nil:
		return c.moreHead(s, p, end)
	case c.forgot.has(id):
		return c.skip(p)
	case c.conf.Server && (id%2 == 0 || id <= c.lastID):
		if id%2 == 0 {
			return protocolError("even_stream_from_client")
		}
		return &Error{StreamClosed, "headers_on_closed_stream"}
	case !c.conf.Server && c.idle(id):
		return protocolError("headers_on_idle_stream")
	case !c.conf.Server:
		return &Error{StreamClosed, "headers_on_closed_stream"}
	}
	c.lastID = id
	if id > c.finalID {
		c.forgot.add(id)
		return c.skip(p)
	}
	if len(c.streams) >= int(c.conf.MaxStreams) {
		if err := c.skip(p); err != nil {
			return err
		}
		return c.streamError(id, RefusedStream)
	}
	return c.newRequest(id, p, end, self)
}

// discard is a sink for blocks that nobody wants.
type discard struct{}

func (discard) field(string, string, bool) {}

func (c *Conn) skip(p []byte) *Error {
	mem := arena{get: func(n int) []byte { return make([]byte, n) }}
	if err := c.dec.decode(p, &mem, discard{}); err != nil {
		return errCompression
	}
	return nil
}

func (c *Conn) decode(s *Stream, p []byte, kind headKind, fields []message.Field) *Error {
	c.got.reset(kind, &c.conf.Limits, fields)
	mem := arena{get: c.events.Buffer}
	err := c.dec.decode(p, &mem, &c.got)
	if mem.buf != nil {
		s.mem = append(s.mem, mem.buf)
	}
	if err != nil {
		return errCompression
	}
	return nil
}

func (c *Conn) newRequest(id uint32, p []byte, end, self bool) *Error {
	s := c.events.NewStream()
	s.c, s.ID = c, id
	c.start(s)
	if err := c.decode(s, p, requestHead, s.Request.Fields); err != nil {
		return err
	}
	got := &c.got
	got.request(&s.Request, end)
	if got.malformed != "" || self {
		s.Request.Fields = got.fields
		return c.streamError(id, ProtocolError)
	}
	s.Fault, s.Expect, s.remoteDone, s.headDone = got.fault, got.expect && !end, end, true
	s.frame(got, end)
	c.guard.progress()
	c.events.OnHead(s)
	return nil
}

// frame sets how the body ends.
func (s *Stream) frame(got *collector, end bool) {
	s.left, s.Length = -1, 0
	switch {
	case got.lengths > 0:
		s.Framing, s.Length, s.left = message.Length, got.length, got.length
	case end:
		s.Framing = message.NoBody
	default:
		s.Framing = message.Chunked
	}
}

// moreHead takes a response's head, or trailers.
func (c *Conn) moreHead(s *Stream, p []byte, end bool) *Error {
	if s.remoteDone {
		if err := c.skip(p); err != nil {
			return err
		}
		return c.streamError(s.ID, StreamClosed)
	}
	if !c.conf.Server && !s.headDone {
		return c.response(s, p, end)
	}
	if err := c.decode(s, p, trailerHead, s.Trailers); err != nil {
		return err
	}
	got := &c.got
	s.Trailers = got.fields
	if !end || got.malformed != "" || got.fault != nil || s.left > 0 {
		return c.streamError(s.ID, ProtocolError)
	}
	s.remoteDone = true
	c.retire(s)
	c.events.OnEnd(s)
	return nil
}

func (c *Conn) response(s *Stream, p []byte, end bool) *Error {
	if err := c.decode(s, p, responseHead, s.Response.Fields); err != nil {
		return err
	}
	got := &c.got
	s.Response.Fields = got.fields
	interim := got.status < 200
	switch {
	case got.malformed != "", got.fault != nil, got.status == 0, got.status == 101, interim && end:
		return c.streamError(s.ID, ProtocolError)
	case interim:
		return c.nuisance() // dropped: 100 has been answered by us, the others are advice
	}
	s.Response.Status, s.headDone = got.status, true
	if !s.frameResponse(got, end) {
		return c.streamError(s.ID, ProtocolError)
	}
	c.guard.progress()
	if s.remoteDone = end; end {
		c.retire(s)
	}
	c.events.OnHead(s)
	return nil
}

// frameResponse follows RFC 9110 §6.4.1: what must not have a body must not
// have one here.
func (s *Stream) frameResponse(got *collector, end bool) bool {
	s.frame(got, end)
	if !s.head && got.status != 204 && got.status != 304 {
		return !end || got.length == 0
	}
	s.Framing, s.left, s.Length = message.NoBody, 0, -1
	if got.status != 204 && got.lengths > 0 {
		s.Length = got.length
	}
	return true
}
