package http2

import "github.com/meshc/meshc/dataplane/message"

// Config of a Conn.
type Config struct {
	Server bool
	// MaxStreams is how many streams the peer may have open: of a server, told
	// to the client; of a client, told as 0 streams pushed.
	MaxStreams   uint32
	StreamWindow uint32 // ≥ 65,535: bytes of body that a stream may have under way
	ConnWindow   uint32 // ≥ 65,535: the same of all streams together
	// Grow doubles the window of a stream whose bytes are taken as they come, up
	// to MaxWindow, as long as all streams together have grown by less than Grow
	// bytes. 0: windows stay as they are.
	Grow      int64
	MaxWindow int64
	Limits    Limits
}

// Events is what a Conn tells its owner. Calls come from within Feed, never
// nested; the owner may call the methods of streams and of the Conn from them,
// but not Feed.
type Events interface {
	// NewStream gives the stream for a request that arrives. Servers only.
	NewStream() *Stream
	// Buffer gives n bytes for the strings of a head; Release gives them back.
	Buffer(n int) []byte
	// OnHead: a request, or the final head of a response. RemoteDone says
	// whether a body follows. With a Fault the request is to be refused.
	OnHead(*Stream)
	// OnData hands over a piece of body, which is not empty. It is counted as
	// unread until Consumed is called. The bytes live until the call returns.
	// last: the peer has sent all.
	OnData(s *Stream, p []byte, last bool)
	// OnEnd: the peer has sent all, with Trailers or without, and its last frame
	// held no body.
	OnEnd(*Stream)
	// OnReset: the stream has ended before its time, by the peer, or because
	// the peer broke a rule. unprocessed: the peer has promised that it has not
	// acted on the request. The stream is closed already.
	OnReset(s *Stream, code ErrCode, unprocessed bool)
	// OnWindow: more may be sent on the stream; nil stands for all of them.
	OnWindow(*Stream)
	// OnGoAway: no new streams may be opened. Clients only.
	OnGoAway(code ErrCode)
	// OnPong: the peer has seen what was sent before Ping.
	OnPong()
}

// Conn is one side of a connection. It is not safe for concurrent use.
type Conn struct {
	conf   Config
	events Events
	out    *[]byte
	extend func([]byte, int) []byte
	now    int64

	dec     decoder
	got     collector
	guard   guard
	streams map[uint32]*Stream
	lastID  uint32 // the highest that the peer has opened
	nextID  uint32 // the next that we open
	forgot  resets

	preface  int // bytes of it seen
	settled  bool
	greeted  bool // our first header block has been written
	block    block
	data     dataFrame
	finalID  uint32 // of the GOAWAY that was sent; maxWindow: none, or a notice
	goneAway bool   // the peer takes no more streams
	failed   bool

	sendWindow int64
	recvWindow int64
	owed       int64 // received and not given back to the peer
	unread     int64
	grown      int64

	peerWindow  int64 // initial window of streams that we send on
	peerStreams uint32
}

// block is a header block that came in more than one frame.
type block struct {
	id    uint32
	flags byte // of HEADERS
	bytes []byte
	parts int
	self  bool // depends on itself
}

// dataFrame is a DATA frame whose payload has not all come.
type dataFrame struct {
	s       *Stream // nil: discard
	open    bool
	left    int
	padding int
	end     bool
}

// resets remembers which streams we have reset: frames that were on their way
// are no fault of the peer's.
type resets struct {
	ids  [256]uint32
	next int
}

func (r *resets) add(id uint32) {
	r.ids[r.next] = id
	r.next = (r.next + 1) % len(r.ids)
}

func (r *resets) has(id uint32) bool {
	for _, x := range r.ids {
		if x == id {
			return true
		}
	}
	return false
}

// defaultPeerStreams is how many streams a server is taken to allow until its
// settings come (RFC 9113 §6.5.2 recommends no smaller value).
const defaultPeerStreams = 100

// NewConn makes one side of a connection and writes what begins it. Frames are
// appended to *out, which the owner may empty at any time; extend makes room in
// it, or gives it back as it is.
func NewConn(conf Config, events Events, out *[]byte, extend func([]byte, int) []byte) *Conn {
	c := &Conn{
		conf: conf, events: events, out: out, extend: extend,
		dec: decoder{max: maxTable}, streams: make(map[uint32]*Stream), nextID: 1, finalID: maxWindow,
		sendWindow: initialWindow, recvWindow: initialWindow,
		peerWindow: initialWindow, peerStreams: defaultPeerStreams,
	}
	c.reserve(128)
	if !conf.Server {
		*c.out = append(*c.out, Preface...)
		c.preface = len(Preface)
	}
	c.sendSettings()
	if more := int64(conf.ConnWindow) - initialWindow; more > 0 {
		c.windowUpdate(0, more)
		c.recvWindow += more
	}
	return c
}

func (c *Conn) sendSettings() {
	type setting struct {
		id    uint16
		value uint32
	}
	list := [...]setting{
		{settingInitialWindow, c.conf.StreamWindow},
		{settingHeaderListSize, uint32(c.conf.Limits.HeadBytes)},
		{settingMaxStreams, c.conf.MaxStreams},
	}
	if !c.conf.Server {
		list[2] = setting{settingEnablePush, 0}
	}
	*c.out = appendFrameHead(*c.out, 6*len(list), frameSettings, 0, 0)
	for _, s := range list {
		*c.out = append(*c.out, byte(s.id>>8), byte(s.id))
		*c.out = appendUint32(*c.out, s.value)
	}
}

// Streams is how many are open.
func (c *Conn) Streams() int { return len(c.streams) }

// Spare is how many more streams a client may open now.
func (c *Conn) Spare() int {
	if c.goneAway || c.failed || c.nextID > maxWindow-2 {
		return 0
	}
	return int(min(c.peerStreams, 1<<30)) - len(c.streams)
}

// Open sends a request on s, a stream that is not in use; Spare must be above 0.
func (c *Conn) Open(s *Stream, r *message.Request, framing message.Framing, length int64) {
	s.c, s.ID = c, c.nextID
	c.nextID += 2
	c.start(s)
	s.head = r.Method == "HEAD"
	at := c.startHead(len(r.Target) + len(r.Authority) + headEstimate(r.Fields))
	*c.out = appendRequest(*c.out, r, framing, length)
	if r.TakesTrailers {
		*c.out = append(*c.out, repLiteral, 2, 't', 'e', 8)
		*c.out = append(*c.out, "trailers"...)
	}
	end := framing == message.NoBody
	c.endHead(at, s.ID, end)
	s.sent(end)
}

func (c *Conn) start(s *Stream) {
	s.window = int64(c.conf.StreamWindow)
	s.sendWindow, s.recvWindow = c.peerWindow, s.window
	s.opened = c.now
	c.streams[s.ID] = s
	c.guard.open()
}

// Ping asks for OnPong.
func (c *Conn) Ping() {
	c.reserve(frameHead + 8)
	*c.out = appendFrameHead(*c.out, 8, framePing, 0, 0)
	*c.out = append(*c.out, 0, 0, 0, 0, 0, 0, 0, 0)
}

// Notice tells the client that the connection will end, and lets it open streams
// until the final GOAWAY (RFC 9113 §6.8).
func (c *Conn) Notice() { c.goAway(maxWindow, NoError, "") }

// GoAway takes no new streams from the peer. Those it has opened go on.
func (c *Conn) GoAway(code ErrCode) {
	if c.finalID == maxWindow {
		c.finalID = c.lastID
	}
	c.goAway(c.finalID, code, "")
}

func (c *Conn) goAway(last uint32, code ErrCode, detail string) {
	c.reserve(frameHead + 8 + len(detail))
	*c.out = appendFrameHead(*c.out, 8+len(detail), frameGoAway, 0, 0)
	*c.out = appendUint32(*c.out, last)
	*c.out = appendUint32(*c.out, uint32(code))
	*c.out = append(*c.out, detail...)
}

// fail ends the connection: a last GOAWAY says why.
func (c *Conn) fail(e *Error) {
	if !c.failed {
		c.failed = true
		c.goAway(c.lastID, e.Code, e.Detail)
	}
}

// Abandon closes every stream, for a connection that is going away: with
// OnReset each.
func (c *Conn) Abandon(code ErrCode) {
	c.failed = true
	for _, s := range c.streams {
		c.remove(s)
		c.events.OnReset(s, code, false)
	}
}

// retire takes a stream that is over on both sides out of the table.
func (c *Conn) retire(s *Stream) {
	if s.localDone && s.remoteDone {
		c.remove(s)
	}
}

func (c *Conn) remove(s *Stream) {
	if s.closed {
		return
	}
	s.closed = true
	c.grown -= s.window - int64(c.conf.StreamWindow)
	delete(c.streams, s.ID)
	if c.data.s == s {
		c.data.s = nil
	}
}

func (c *Conn) resetStream(id uint32, code ErrCode) {
	c.forgot.add(id)
	c.reserve(frameHead + 4)
	*c.out = appendFrameHead(*c.out, 4, frameRSTStream, 0, id)
	*c.out = appendUint32(*c.out, uint32(code))
}

func (c *Conn) windowUpdate(id uint32, n int64) {
	c.reserve(frameHead + 4)
	*c.out = appendFrameHead(*c.out, 4, frameWindowUpdate, 0, id)
	*c.out = appendUint32(*c.out, uint32(n))
}

// credit opens the connection's window again. It does so as bytes arrive, so
// that streams that are not read cannot hold up the others; the windows of streams
// bound what all of them hold.
func (c *Conn) credit() {
	most := int64(c.conf.MaxStreams)*int64(c.conf.StreamWindow) + c.grown
	n := c.owed - max(c.unread-most, 0)
	if n > 0 && n >= min(c.recvWindow, int64(c.conf.ConnWindow)/2) {
		c.windowUpdate(0, n)
		c.recvWindow += n
		c.owed -= n
	}
}

func (c *Conn) reserve(n int) { *c.out = c.extend(*c.out, n) }

// startHead begins a header block; endHead puts it into frames.
func (c *Conn) startHead(estimate int) (at int) {
	c.reserve(estimate + frameHead)
	at = len(*c.out)
	*c.out = append(*c.out, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	if !c.greeted {
		c.greeted = true
		*c.out = append(*c.out, noTable)
	}
	return at
}

func (c *Conn) endHead(at int, id uint32, end bool) {
	c.guard.progress()
	flags := byte(0)
	if end {
		flags = flagEndStream
	}
	out := *c.out
	size := len(out) - at - frameHead
	if size <= maxFrame {
		appendFrameHead(out[:at], size, frameHeaders, flags|flagEndHeaders, id)
		return
	}
	rest := append([]byte(nil), out[at+frameHead+maxFrame:]...)
	out = out[:at+frameHead+maxFrame]
	appendFrameHead(out[:at], maxFrame, frameHeaders, flags, id)
	for len(rest) > 0 {
		n := min(len(rest), maxFrame)
		flags = 0
		if n == len(rest) {
			flags = flagEndHeaders
		}
		out = appendFrameHead(out, n, frameContinuation, flags, id)
		out = append(out, rest[:n]...)
		rest = rest[n:]
	}
	*c.out = out
}
