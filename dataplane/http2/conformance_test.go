package http2

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	xh2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/meshc/meshc/dataplane/message"
)

// owner is a Conn's owner that keeps what it is told. As a server it answers
// every request that is complete with 200 and "ok".
type owner struct {
	conn  *Conn
	out   []byte
	in    []byte
	now   int64
	heads []string
	body  map[uint32]int
	ended map[uint32]bool
	reset map[uint32]ErrCode
	gone  bool
	pongs int
	mute  bool // do not answer
	keep  bool // do not take bodies
}

var testLimits = Limits{HeadBytes: 60 << 10, Fields: 100, TargetBytes: 32 << 10}

func newOwner(server bool) *owner {
	o := &owner{body: map[uint32]int{}, ended: map[uint32]bool{}, reset: map[uint32]ErrCode{}}
	conf := Config{Server: server, MaxStreams: 100, StreamWindow: 1 << 16, ConnWindow: 1 << 17, Limits: testLimits}
	o.conn = NewConn(conf, o, &o.out, func(p []byte, _ int) []byte { return p })
	return o
}

func (o *owner) NewStream() *Stream    { return new(Stream) }
func (o *owner) Buffer(n int) []byte   { return make([]byte, n) }
func (o *owner) OnWindow(*Stream)      {}
func (o *owner) OnGoAway(code ErrCode) { o.gone = true }
func (o *owner) OnPong()               { o.pongs++ }

func (o *owner) OnHead(s *Stream) {
	if o.conn.conf.Server {
		o.heads = append(o.heads, s.Request.Method+" "+s.Request.Authority+s.Request.Target)
	} else {
		o.heads = append(o.heads, fmt.Sprint(s.Response.Status))
	}
	if s.RemoteDone() {
		o.OnEnd(s)
	}
}

func (o *owner) OnData(s *Stream, p []byte, last bool) {
	o.body[s.ID] += len(p)
	if !o.keep {
		s.Consumed(len(p))
	}
	if last {
		o.OnEnd(s)
	}
}

func (o *owner) OnEnd(s *Stream) {
	o.ended[s.ID] = true
	if !o.conn.conf.Server || o.mute {
		return
	}
	if s.Fault != nil {
		s.Respond(&message.Response{Status: s.Fault.Status}, message.NoBody, -1, true)
		return
	}
	s.Respond(&message.Response{Status: 200}, message.Length, 2, false)
	s.SendData([]byte("ok"), true)
}

func (o *owner) OnReset(s *Stream, code ErrCode, _ bool) { o.reset[s.ID] = code }

// feed gives the Conn bytes and keeps what it leaves.
func (o *owner) feed(p []byte) error {
	o.in = append(o.in, p...)
	n, err := o.conn.Feed(o.in, o.now)
	o.in = o.in[n:]
	return err
}

// peer writes frames for an owner.
type peer struct {
	buf bytes.Buffer
	*xh2.Framer
	enc  *hpack.Encoder
	hbuf bytes.Buffer
}

func newPeer() *peer {
	p := &peer{}
	p.Framer = xh2.NewFramer(&p.buf, nil)
	p.AllowIllegalWrites = true
	p.enc = hpack.NewEncoder(&p.hbuf)
	return p
}

func (p *peer) block(fields ...string) []byte {
	p.hbuf.Reset()
	for i := 0; i < len(fields); i += 2 {
		p.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return p.hbuf.Bytes()
}

func (p *peer) get(id uint32, end bool, more ...string) {
	fields := append([]string{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a"}, more...)
	p.WriteHeaders(xh2.HeadersFrameParam{StreamID: id, BlockFragment: p.block(fields...), EndHeaders: true, EndStream: end})
}

func (p *peer) post(id uint32, more ...string) {
	fields := append([]string{":method", "POST", ":scheme", "http", ":path", "/", ":authority", "a"}, more...)
	p.WriteHeaders(xh2.HeadersFrameParam{StreamID: id, BlockFragment: p.block(fields...), EndHeaders: true})
}

// answers reads what an owner has said.
func (o *owner) answers(t *testing.T) (frames []xh2.Frame) {
	t.Helper()
	raw := o.out
	if !o.conn.conf.Server {
		raw = raw[len(Preface):]
	}
	f := xh2.NewFramer(io.Discard, bytes.NewReader(raw))
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		frame, err := f.ReadFrame()
		if errors.Is(err, io.EOF) {
			return frames
		}
		if err != nil {
			t.Fatalf("what was written is not HTTP/2: %v", err)
		}
		frames = append(frames, describe(frame))
	}
}

// describe copies what a Framer would overwrite.
func describe(f xh2.Frame) xh2.Frame {
	if g, ok := f.(*xh2.GoAwayFrame); ok {
		c := *g
		return &c
	}
	return f
}

// Outcomes of a probe.
type outcome struct {
	conn   ErrCode // GOAWAY with it; 0: none
	stream ErrCode // RST_STREAM of stream 1 with it
	status string  // answer on stream 1
}

const h = "x"

// serverProbes: RFC 9113 and RFC 7541, as h2spec asks for them, and more.
var serverProbes = []struct {
	name string
	send func(*peer)
	want outcome
}{
	{"a request", func(p *peer) { p.get(1, true) }, outcome{status: "200"}},
	{"a request with a body", func(p *peer) { p.post(1); p.WriteData(1, true, []byte("abc")) }, outcome{status: "200"}},
	{"padding", func(p *peer) { p.post(1); p.WriteDataPadded(1, true, []byte("abc"), make([]byte, 200)) }, outcome{status: "200"}},
	{"empty DATA ends the stream", func(p *peer) { p.post(1); p.WriteData(1, true, nil) }, outcome{status: "200"}},
	{"trailers", func(p *peer) {
		p.post(1)
		p.WriteData(1, false, []byte("abc"))
		p.WriteHeaders(xh2.HeadersFrameParam{StreamID: 1, BlockFragment: p.block("x-t", "1"), EndHeaders: true, EndStream: true})
	}, outcome{status: "200"}},
	{"CONTINUATION", func(p *peer) {
		b := append([]byte(nil), p.block(":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a")...)
		p.WriteHeaders(xh2.HeadersFrameParam{StreamID: 1, BlockFragment: b[:3], EndStream: true})
		p.WriteContinuation(1, false, b[3:5])
		p.WriteContinuation(1, true, b[5:])
	}, outcome{status: "200"}},
	{"priority in HEADERS", func(p *peer) {
		p.WriteHeaders(xh2.HeadersFrameParam{StreamID: 1, EndHeaders: true, EndStream: true, Priority: xh2.PriorityParam{StreamDep: 3, Weight: 9},
			BlockFragment: p.block(":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a")})
	}, outcome{status: "200"}},
	{"unknown frame", func(p *peer) { p.WriteRawFrame(0x42, 0xff, 7, []byte("x")); p.get(1, true) }, outcome{status: "200"}},
	{"unknown setting", func(p *peer) { p.WriteSettings(xh2.Setting{ID: 0xff, Val: 1}); p.get(1, true) }, outcome{status: "200"}},
	{"cookie crumbs", func(p *peer) { p.get(1, true, "cookie", "a=b", "cookie", "c=d") }, outcome{status: "200"}},
	{"te: trailers", func(p *peer) { p.get(1, true, "te", "trailers") }, outcome{status: "200"}},
	{"host instead of :authority", func(p *peer) {
		p.WriteHeaders(xh2.HeadersFrameParam{StreamID: 1, EndHeaders: true, EndStream: true, BlockFragment: p.block(":method", "GET", ":scheme", "http", ":path", "/", "host", "a")})
	}, outcome{status: "200"}},

	{"frame above the limit", func(p *peer) { p.get(1, false); p.WriteRawFrame(xh2.FrameData, 0, 1, make([]byte, 16385)) }, outcome{conn: FrameSizeError}},
	{"HEADERS on stream 0", func(p *peer) { p.get(0, true) }, outcome{conn: ProtocolError}},
	{"HEADERS on an even stream", func(p *peer) { p.get(2, true) }, outcome{conn: ProtocolError}},
	{"HEADERS on a lower stream", func(p *peer) { p.get(5, true); p.get(3, true) }, outcome{conn: StreamClosed}},
	{"HEADERS on a closed stream", func(p *peer) { p.get(1, true); p.get(1, true) }, outcome{conn: StreamClosed, status: "200"}},
	{"HEADERS without an end as trailers", func(p *peer) { p.post(1); p.get(1, false) }, outcome{stream: ProtocolError}},
	{"frame between HEADERS and CONTINUATION", func(p *peer) {
		p.WriteHeaders(xh2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}})
		p.WritePing(false, [8]byte{})
	}, outcome{conn: ProtocolError}},
	{"CONTINUATION of another stream", func(p *peer) {
		p.WriteHeaders(xh2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}})
		p.WriteContinuation(3, true, nil)
	}, outcome{conn: ProtocolError}},
	{"CONTINUATION of nothing", func(p *peer) { p.WriteContinuation(1, true, nil) }, outcome{conn: ProtocolError}},
	{"header block that is broken", func(p *peer) {
		p.WriteHeaders(xh2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0xff}, EndHeaders: true})
	}, outcome{conn: CompressionError}},
	{"padding longer than HEADERS", func(p *peer) { p.WriteRawFrame(xh2.FrameHeaders, 0x0d, 1, []byte{9, 0x82}) }, outcome{conn: ProtocolError}},
	{"padding longer than DATA", func(p *peer) { p.post(1); p.WriteRawFrame(xh2.FrameData, 0x8, 1, []byte{9, 0x82}) }, outcome{conn: ProtocolError}},
	{"HEADERS that depend on themselves", func(p *peer) {
		p.WriteHeaders(xh2.HeadersFrameParam{StreamID: 1, EndHeaders: true, EndStream: true, Priority: xh2.PriorityParam{StreamDep: 1},
			BlockFragment: p.block(":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a")})
	}, outcome{stream: ProtocolError}},

	{"DATA on stream 0", func(p *peer) { p.WriteData(0, true, []byte(h)) }, outcome{conn: ProtocolError}},
	{"DATA on an idle stream", func(p *peer) { p.WriteData(1, true, []byte(h)) }, outcome{conn: ProtocolError}},
	{"DATA behind the end", func(p *peer) { p.get(1, true); p.WriteData(1, true, []byte(h)) }, outcome{stream: StreamClosed, status: "200"}},
	{"less than content-length", func(p *peer) { p.post(1, "content-length", "5"); p.WriteData(1, true, []byte(h)) }, outcome{stream: ProtocolError}},
	{"more than content-length", func(p *peer) { p.post(1, "content-length", "0"); p.WriteData(1, true, []byte(h)) }, outcome{stream: ProtocolError}},
	{"content-length without a body", func(p *peer) { p.get(1, true, "content-length", "5") }, outcome{stream: ProtocolError}},
	{"trailers before content-length", func(p *peer) {
		p.post(1, "content-length", "5")
		p.WriteHeaders(xh2.HeadersFrameParam{StreamID: 1, BlockFragment: p.block("x-t", "1"), EndHeaders: true, EndStream: true})
	}, outcome{stream: ProtocolError}},

	{"SETTINGS on a stream", func(p *peer) { p.WriteRawFrame(xh2.FrameSettings, 0, 1, nil) }, outcome{conn: ProtocolError}},
	{"SETTINGS of 5 bytes", func(p *peer) { p.WriteRawFrame(xh2.FrameSettings, 0, 0, make([]byte, 5)) }, outcome{conn: FrameSizeError}},
	{"ack with a payload", func(p *peer) { p.WriteRawFrame(xh2.FrameSettings, 1, 0, make([]byte, 6)) }, outcome{conn: FrameSizeError}},
	{"ENABLE_PUSH 2", func(p *peer) { p.WriteSettings(xh2.Setting{ID: xh2.SettingEnablePush, Val: 2}) }, outcome{conn: ProtocolError}},
	{"INITIAL_WINDOW_SIZE too large", func(p *peer) { p.WriteSettings(xh2.Setting{ID: xh2.SettingInitialWindowSize, Val: 1 << 31}) }, outcome{conn: FlowControlError}},
	{"MAX_FRAME_SIZE too small", func(p *peer) { p.WriteSettings(xh2.Setting{ID: xh2.SettingMaxFrameSize, Val: 16383}) }, outcome{conn: ProtocolError}},
	{"MAX_FRAME_SIZE too large", func(p *peer) { p.WriteSettings(xh2.Setting{ID: xh2.SettingMaxFrameSize, Val: 1 << 24}) }, outcome{conn: ProtocolError}},
	{"PING on a stream", func(p *peer) { p.WriteRawFrame(xh2.FramePing, 0, 1, make([]byte, 8)) }, outcome{conn: ProtocolError}},
	{"PING of 7 bytes", func(p *peer) { p.WriteRawFrame(xh2.FramePing, 0, 0, make([]byte, 7)) }, outcome{conn: FrameSizeError}},
	{"GOAWAY on a stream", func(p *peer) { p.WriteRawFrame(xh2.FrameGoAway, 0, 1, make([]byte, 8)) }, outcome{conn: ProtocolError}},
	{"GOAWAY of 7 bytes", func(p *peer) { p.WriteRawFrame(xh2.FrameGoAway, 0, 0, make([]byte, 7)) }, outcome{conn: FrameSizeError}},
	{"PUSH_PROMISE", func(p *peer) { p.get(1, false); p.WriteRawFrame(xh2.FramePushPromise, 4, 1, make([]byte, 8)) }, outcome{conn: ProtocolError}},
	{"RST_STREAM on stream 0", func(p *peer) { p.WriteRSTStream(0, xh2.ErrCodeCancel) }, outcome{conn: ProtocolError}},
	{"RST_STREAM on an idle stream", func(p *peer) { p.WriteRSTStream(1, xh2.ErrCodeCancel) }, outcome{conn: ProtocolError}},
	{"RST_STREAM of 3 bytes", func(p *peer) { p.get(1, false); p.WriteRawFrame(xh2.FrameRSTStream, 0, 1, make([]byte, 3)) }, outcome{conn: FrameSizeError}},
	{"WINDOW_UPDATE of 0", func(p *peer) { p.WriteRawFrame(xh2.FrameWindowUpdate, 0, 0, make([]byte, 4)) }, outcome{conn: ProtocolError}},
	{"WINDOW_UPDATE of 0 on a stream", func(p *peer) { p.get(1, false); p.WriteRawFrame(xh2.FrameWindowUpdate, 0, 1, make([]byte, 4)) }, outcome{stream: ProtocolError}},
	{"WINDOW_UPDATE of 3 bytes", func(p *peer) { p.WriteRawFrame(xh2.FrameWindowUpdate, 0, 0, make([]byte, 3)) }, outcome{conn: FrameSizeError}},
	{"WINDOW_UPDATE on an idle stream", func(p *peer) { p.WriteWindowUpdate(1, 1) }, outcome{conn: ProtocolError}},
	{"window of the connection overflows", func(p *peer) { p.WriteWindowUpdate(0, 1<<31-1) }, outcome{conn: FlowControlError}},
	{"window of a stream overflows", func(p *peer) { p.get(1, false); p.WriteWindowUpdate(1, 1<<31-1) }, outcome{stream: FlowControlError}},
	{"window of a stream overflows by SETTINGS", func(p *peer) {
		p.get(1, false)
		p.WriteWindowUpdate(1, 1<<31-1-65535)
		p.WriteSettings(xh2.Setting{ID: xh2.SettingInitialWindowSize, Val: 65536})
	}, outcome{conn: FlowControlError}},
	{"PRIORITY on stream 0", func(p *peer) { p.WriteRawFrame(xh2.FramePriority, 0, 0, make([]byte, 5)) }, outcome{conn: ProtocolError}},
	{"PRIORITY of 4 bytes", func(p *peer) { p.get(1, false); p.WriteRawFrame(xh2.FramePriority, 0, 1, make([]byte, 4)) }, outcome{stream: FrameSizeError}},
	{"PRIORITY that depends on itself", func(p *peer) { p.WritePriority(1, xh2.PriorityParam{StreamDep: 1}) }, outcome{conn: ProtocolError}},

	{"header name in upper case", func(p *peer) { p.get(1, true, "X-A", "1") }, outcome{stream: ProtocolError}},
	{"header name that is no token", func(p *peer) { p.get(1, true, "a b", "1") }, outcome{stream: ProtocolError}},
	{"empty header name", func(p *peer) { p.get(1, true, "", "1") }, outcome{stream: ProtocolError}},
	{"line feed in a value", func(p *peer) { p.get(1, true, "x", "a\nb") }, outcome{stream: ProtocolError}},
	{"carriage return in a value", func(p *peer) { p.get(1, true, "x", "a\rb") }, outcome{stream: ProtocolError}},
	{"NUL in a value", func(p *peer) { p.get(1, true, "x", "a\x00b") }, outcome{stream: ProtocolError}},
	{"space before a value", func(p *peer) { p.get(1, true, "x", " a") }, outcome{stream: ProtocolError}},
	{"tab behind a value", func(p *peer) { p.get(1, true, "x", "a\t") }, outcome{stream: ProtocolError}},
	{"connection", func(p *peer) { p.get(1, true, "connection", "close") }, outcome{stream: ProtocolError}},
	{"keep-alive", func(p *peer) { p.get(1, true, "keep-alive", "1") }, outcome{stream: ProtocolError}},
	{"proxy-connection", func(p *peer) { p.get(1, true, "proxy-connection", "close") }, outcome{stream: ProtocolError}},
	{"transfer-encoding", func(p *peer) { p.post(1, "transfer-encoding", "chunked") }, outcome{stream: ProtocolError}},
	{"upgrade", func(p *peer) { p.get(1, true, "upgrade", "websocket") }, outcome{stream: ProtocolError}},
	{"te: gzip", func(p *peer) { p.get(1, true, "te", "trailers, gzip") }, outcome{stream: ProtocolError}},
	{"two content-lengths", func(p *peer) { p.post(1, "content-length", "1", "content-length", "1") }, outcome{stream: ProtocolError}},
	{"content-length with a sign", func(p *peer) { p.post(1, "content-length", "+1") }, outcome{stream: ProtocolError}},
	{"content-length that is empty", func(p *peer) { p.post(1, "content-length", "") }, outcome{stream: ProtocolError}},
	{"unknown pseudo-header", func(p *peer) { p.get(1, true, ":x", "1") }, outcome{stream: ProtocolError}},
	{":status in a request", func(p *peer) { p.get(1, true, ":status", "200") }, outcome{stream: ProtocolError}},
	{":protocol", func(p *peer) { p.get(1, true, ":protocol", "websocket") }, outcome{stream: ProtocolError}},
	{"pseudo-header behind a field", func(p *peer) {
		p.WriteHeaders(xh2.HeadersFrameParam{StreamID: 1, EndHeaders: true, EndStream: true, BlockFragment: p.block(":method", "GET", ":scheme", "http", "x", "1", ":path", "/", ":authority", "a")})
	}, outcome{stream: ProtocolError}},
	{"pseudo-header twice", func(p *peer) { p.get(1, true, ":path", "/") }, outcome{stream: ProtocolError}},
	{"pseudo-header in trailers", func(p *peer) {
		p.post(1)
		p.WriteHeaders(xh2.HeadersFrameParam{StreamID: 1, BlockFragment: p.block(":path", "/"), EndHeaders: true, EndStream: true})
	}, outcome{stream: ProtocolError}},
	{"no :method", func(p *peer) {
		p.WriteHeaders(xh2.HeadersFrameParam{StreamID: 1, EndHeaders: true, EndStream: true, BlockFragment: p.block(":scheme", "http", ":path", "/", ":authority", "a")})
	}, outcome{stream: ProtocolError}},
	{"no :scheme", func(p *peer) {
		p.WriteHeaders(xh2.HeadersFrameParam{StreamID: 1, EndHeaders: true, EndStream: true, BlockFragment: p.block(":method", "GET", ":path", "/", ":authority", "a")})
	}, outcome{stream: ProtocolError}},
	{"no :path", func(p *peer) {
		p.WriteHeaders(xh2.HeadersFrameParam{StreamID: 1, EndHeaders: true, EndStream: true, BlockFragment: p.block(":method", "GET", ":scheme", "http", ":authority", "a")})
	}, outcome{stream: ProtocolError}},
	{"empty :path", func(p *peer) {
		p.WriteHeaders(xh2.HeadersFrameParam{StreamID: 1, EndHeaders: true, EndStream: true, BlockFragment: p.block(":method", "GET", ":scheme", "http", ":path", "", ":authority", "a")})
	}, outcome{stream: ProtocolError}},
	{":path without a slash", func(p *peer) {
		p.WriteHeaders(xh2.HeadersFrameParam{StreamID: 1, EndHeaders: true, EndStream: true, BlockFragment: p.block(":method", "GET", ":scheme", "http", ":path", "x", ":authority", "a")})
	}, outcome{stream: ProtocolError}},
	{"* with GET", func(p *peer) {
		p.WriteHeaders(xh2.HeadersFrameParam{StreamID: 1, EndHeaders: true, EndStream: true, BlockFragment: p.block(":method", "GET", ":scheme", "http", ":path", "*", ":authority", "a")})
	}, outcome{stream: ProtocolError}},
	{"space in :path", func(p *peer) {
		p.WriteHeaders(xh2.HeadersFrameParam{StreamID: 1, EndHeaders: true, EndStream: true, BlockFragment: p.block(":method", "GET", ":scheme", "http", ":path", "/a HTTP/1.1", ":authority", "a")})
	}, outcome{stream: ProtocolError}},
	{"line feed in :method", func(p *peer) {
		p.WriteHeaders(xh2.HeadersFrameParam{StreamID: 1, EndHeaders: true, EndStream: true, BlockFragment: p.block(":method", "GET / HTTP/1.1\r\n", ":scheme", "http", ":path", "/", ":authority", "a")})
	}, outcome{stream: ProtocolError}},
	{"host that differs from :authority", func(p *peer) { p.get(1, true, "host", "b") }, outcome{stream: ProtocolError}},

	{"two hosts", func(p *peer) { p.get(1, true, "host", "a", "host", "a") }, outcome{status: "400"}},
	{"no host", func(p *peer) {
		p.WriteHeaders(xh2.HeadersFrameParam{StreamID: 1, EndHeaders: true, EndStream: true, BlockFragment: p.block(":method", "GET", ":scheme", "http", ":path", "/")})
	}, outcome{status: "400"}},
	{"user in :authority", func(p *peer) {
		p.WriteHeaders(xh2.HeadersFrameParam{StreamID: 1, EndHeaders: true, EndStream: true, BlockFragment: p.block(":method", "GET", ":scheme", "http", ":path", "/", ":authority", "u@a")})
	}, outcome{status: "400"}},
	{"line feed in :authority", func(p *peer) {
		p.WriteHeaders(xh2.HeadersFrameParam{StreamID: 1, EndHeaders: true, EndStream: true, BlockFragment: p.block(":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a\r\nx: y")})
	}, outcome{status: "400"}},
	{"dot segment", func(p *peer) {
		p.WriteHeaders(xh2.HeadersFrameParam{StreamID: 1, EndHeaders: true, EndStream: true, BlockFragment: p.block(":method", "GET", ":scheme", "http", ":path", "/a/%2e%2e/b", ":authority", "a")})
	}, outcome{status: "400"}},
	{"CONNECT", func(p *peer) {
		p.WriteHeaders(xh2.HeadersFrameParam{StreamID: 1, EndHeaders: true, EndStream: true, BlockFragment: p.block(":method", "CONNECT", ":authority", "a:1")})
	}, outcome{status: "501"}},
	{"TRACE", func(p *peer) {
		p.WriteHeaders(xh2.HeadersFrameParam{StreamID: 1, EndHeaders: true, EndStream: true, BlockFragment: p.block(":method", "TRACE", ":scheme", "http", ":path", "/", ":authority", "a")})
	}, outcome{status: "405"}},
	{"an expectation", func(p *peer) { p.get(1, true, "expect", "magic") }, outcome{status: "417"}},
	{"101 fields", func(p *peer) {
		var more []string
		for range 101 {
			more = append(more, "x", "y")
		}
		p.get(1, true, more...)
	}, outcome{status: "431"}},
	{"a decompression bomb", func(p *peer) {
		p.WriteHeaders(xh2.HeadersFrameParam{StreamID: 1, EndHeaders: true, EndStream: true, BlockFragment: append(p.block(":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a", "x", strings.Repeat("v", 3900)), bytes.Repeat([]byte{0xbe}, 1000)...)})
	}, outcome{status: "431"}},
	{"a header block without end", func(p *peer) {
		p.WriteHeaders(xh2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}})
		for range 20 {
			p.WriteContinuation(1, false, nil)
		}
	}, outcome{conn: EnhanceYourCalm}},
	{"a header block of 100 KiB", func(p *peer) {
		p.WriteHeaders(xh2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}})
		for range 7 {
			p.WriteContinuation(1, false, make([]byte, 16384))
		}
	}, outcome{conn: EnhanceYourCalm}},
}

func TestServerConformance(t *testing.T) {
	for _, probe := range serverProbes {
		t.Run(probe.name, func(t *testing.T) {
			p := newPeer()
			p.buf.WriteString(Preface)
			p.WriteSettings()
			probe.send(p)
			// In one piece, and byte by byte: what is decided must not depend on it.
			for _, step := range []int{1 << 20, 1} {
				o := newOwner(true)
				raw := p.buf.Bytes()
				var err error
				for len(raw) > 0 && err == nil {
					n := min(step, len(raw))
					err = o.feed(raw[:n])
					raw = raw[n:]
				}
				if got := o.outcome(t); got != probe.want {
					t.Errorf("in steps of %d: got %+v, want %+v", step, got, probe.want)
				}
				if (err != nil) != (probe.want.conn != 0) {
					t.Errorf("in steps of %d: Feed gave %v", step, err)
				}
			}
		})
	}
}

// outcome sums up what was said on stream 1 and of the connection.
func (o *owner) outcome(t *testing.T) (got outcome) {
	for _, f := range o.answers(t) {
		switch f := f.(type) {
		case *xh2.GoAwayFrame:
			got.conn = ErrCode(f.ErrCode)
		case *xh2.RSTStreamFrame:
			if f.StreamID == 1 {
				got.stream = ErrCode(f.ErrCode)
			}
		case *xh2.MetaHeadersFrame:
			if f.StreamID == 1 {
				got.status = f.PseudoValue("status")
			}
		}
	}
	return got
}

func TestPrefaceAndFirstFrame(t *testing.T) {
	for _, raw := range []string{"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", Preface + "\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678", Preface + "\x00\x00\x00\x04\x01\x00\x00\x00\x00"} {
		if err := newOwner(true).feed([]byte(raw)); err == nil {
			t.Errorf("%q was taken", raw)
		}
	}
}

// What a client is told that breaks a rule fails its request, not more.
func TestClientConformance(t *testing.T) {
	for name, c := range map[string]struct {
		send func(*peer)
		want string // of stream 1: heads, then body and end or the reset
	}{
		"a response": {func(p *peer) { p.response(1, false, "200"); p.WriteData(1, true, []byte("abc")) }, "[200] 3 true"},
		"interim responses": {func(p *peer) {
			p.response(1, false, "100")
			p.response(1, false, "103")
			p.response(1, true, "204")
		}, "[204] 0 true"},
		"trailers": {func(p *peer) {
			p.response(1, false, "200")
			p.WriteHeaders(xh2.HeadersFrameParam{StreamID: 1, BlockFragment: p.block("grpc-status", "0"), EndHeaders: true, EndStream: true})
		}, "[200] 0 true"},
		"refused":               {func(p *peer) { p.WriteRSTStream(1, xh2.ErrCodeRefusedStream) }, "[] 0 REFUSED_STREAM"},
		"goaway below it":       {func(p *peer) { p.WriteGoAway(0, xh2.ErrCodeNo, nil) }, "[] 0 REFUSED_STREAM"},
		"goaway above it":       {func(p *peer) { p.WriteGoAway(1, xh2.ErrCodeNo, nil); p.response(1, true, "200") }, "[200] 0 true"},
		"body before the head":  {func(p *peer) { p.WriteData(1, true, []byte("abc")) }, "[] 0 PROTOCOL_ERROR"},
		"no status":             {func(p *peer) { p.headers(1, true, "x", "y") }, "[] 0 PROTOCOL_ERROR"},
		"status of two digits":  {func(p *peer) { p.response(1, true, "20") }, "[] 0 PROTOCOL_ERROR"},
		"101":                   {func(p *peer) { p.response(1, false, "101") }, "[] 0 PROTOCOL_ERROR"},
		"interim that ends":     {func(p *peer) { p.response(1, true, "100") }, "[] 0 PROTOCOL_ERROR"},
		"request pseudo-header": {func(p *peer) { p.response(1, true, "200", ":path", "/") }, "[] 0 PROTOCOL_ERROR"},
		"connection":            {func(p *peer) { p.response(1, true, "200", "connection", "close") }, "[] 0 PROTOCOL_ERROR"},
		"too short":             {func(p *peer) { p.response(1, false, "200", "content-length", "5"); p.WriteData(1, true, []byte("abc")) }, "[200] 0 PROTOCOL_ERROR"},
		"body of a 204":         {func(p *peer) { p.response(1, false, "204"); p.WriteData(1, true, []byte("abc")) }, "[204] 0 PROTOCOL_ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOwner(false)
			s := &Stream{}
			o.conn.Open(s, &message.Request{Method: "GET", Scheme: "http", Authority: "a", Target: "/"}, message.NoBody, 0)
			p := newPeer()
			p.WriteSettings()
			c.send(p)
			if err := o.feed(p.buf.Bytes()); err != nil {
				t.Fatal(err)
			}
			end := fmt.Sprint(o.ended[1])
			if code, ok := o.reset[1]; ok {
				end = code.String()
			}
			if got := fmt.Sprintf("%v %d %s", o.heads, o.body[1], end); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func (p *peer) headers(id uint32, end bool, fields ...string) {
	p.WriteHeaders(xh2.HeadersFrameParam{StreamID: id, BlockFragment: p.block(fields...), EndHeaders: true, EndStream: end})
}

func (p *peer) response(id uint32, end bool, status string, more ...string) {
	p.headers(id, end, append([]string{":status", status}, more...)...)
}

// Floods end the connection; the same frames at a pace that a client has a
// reason for do not.
func TestFloods(t *testing.T) {
	id := uint32(1)
	for name, frame := range map[string]func(*peer){
		"PING":                 func(p *peer) { p.WritePing(false, [8]byte{}) },
		"SETTINGS":             func(p *peer) { p.WriteSettings() },
		"PRIORITY":             func(p *peer) { p.WritePriority(9, xh2.PriorityParam{}) },
		"empty DATA":           func(p *peer) { p.WriteData(1, false, nil) },
		"WINDOW_UPDATE":        func(p *peer) { p.WriteWindowUpdate(0, 1) },
		"unknown":              func(p *peer) { p.WriteRawFrame(0x77, 0, 0, nil) },
		"RST_STREAM":           func(p *peer) { p.WriteRSTStream(1, xh2.ErrCodeCancel) },
		"rapid reset":          func(p *peer) { id += 2; p.get(id, true); p.WriteRSTStream(id, xh2.ErrCodeCancel) },
		"resets that we make":  func(p *peer) { id += 2; p.post(id); p.WriteRawFrame(xh2.FrameWindowUpdate, 0, id, make([]byte, 4)) },
		"malformed requests":   func(p *peer) { id += 2; p.get(id, true, "connection", "close") },
		"too many at once":     func(p *peer) { id += 2; p.post(id) },
		"GOAWAY":               func(p *peer) { p.WriteGoAway(0, xh2.ErrCodeNo, nil) },
		"frames behind an end": func(p *peer) { p.WriteData(1, true, []byte("x")) },
	} {
		t.Run(name, func(t *testing.T) {
			flood := func(every int64) (n int, err error) {
				id = 1
				o := newOwner(true)
				o.mute = true
				p := newPeer()
				p.buf.WriteString(Preface)
				p.WriteSettings()
				p.post(1)
				for ; n < 20_000 && err == nil; n++ {
					frame(p)
					err = o.feed(p.buf.Bytes())
					p.buf.Reset()
					o.now += every
					o.out = o.out[:0]
				}
				return n, err
			}
			n, err := flood(1000)
			var e *Error
			if !errors.As(err, &e) || e.Code != EnhanceYourCalm || n > 1200 {
				t.Errorf("ended with %v after %d", err, n)
			}
			if name == "PING" || name == "WINDOW_UPDATE" || name == "SETTINGS" {
				if n, err := flood(20 * 1e6); err != nil {
					t.Errorf("50 a second: %v after %d", err, n)
				}
			}
		})
	}
}

// What the peer does not read is not made without bound.
func TestOutputIsHeldBack(t *testing.T) {
	o := newOwner(true)
	p := newPeer()
	p.buf.WriteString(Preface)
	p.WriteSettings()
	id := uint32(1)
	for range 60_000 {
		p.get(id, true)
		id += 2
	}
	if err := o.feed(p.buf.Bytes()); err != nil || len(o.out) > holdAt+1024 || !o.conn.Holding() {
		t.Fatalf("%d bytes of output, %v", len(o.out), err)
	}
	served := len(o.heads)
	for len(o.in) > 0 {
		o.out = o.out[:0]
		if err := o.feed(nil); err != nil {
			t.Fatal(err)
		}
	}
	if len(o.heads) != 60_000 || served == 60_000 {
		t.Errorf("%d served at first, %d in the end", served, len(o.heads))
	}
}

// The windows are opened as the owner takes what has come, and only then.
func TestWindowsFollowTheReader(t *testing.T) {
	o := newOwner(true)
	o.keep = true
	p := newPeer()
	p.buf.WriteString(Preface)
	p.WriteSettings()
	p.post(1)
	for range 4 {
		p.WriteData(1, false, make([]byte, 16384))
	}
	if err := o.feed(p.buf.Bytes()); err != nil {
		t.Fatal(err)
	}
	beyond := newPeer()
	beyond.WriteData(1, false, []byte("x"))
	other := newOwner(true)
	other.keep = true
	if err := other.feed(append(p.buf.Bytes(), beyond.buf.Bytes()...)); err != nil || other.reset[1] != FlowControlError {
		t.Errorf("a byte beyond the window: %v, %v", err, other.reset)
	}
	s := o.conn.streams[1]
	updates := func() (stream, conn uint32) {
		for _, f := range o.answers(t)[2:] { // settings and the first opening of the connection
			if u, ok := f.(*xh2.WindowUpdateFrame); ok && u.StreamID == 1 {
				stream += u.Increment
			} else if ok {
				conn += u.Increment
			}
		}
		return stream, conn
	}
	if stream, conn := updates(); stream != 0 || conn != 65536 {
		t.Errorf("before a byte is taken: %d for the stream, %d for the connection", stream, conn)
	}
	s.Consumed(40_000)
	if stream, _ := updates(); stream != 40_000 {
		t.Errorf("%d for the stream after 40,000 were taken", stream)
	}
	s.Release(func([]byte) {})
	if o.conn.unread != 0 {
		t.Errorf("%d bytes are held by nobody", o.conn.unread)
	}
}

func FuzzServer(f *testing.F) {
	for _, probe := range serverProbes {
		p := newPeer()
		p.buf.WriteString(Preface)
		p.WriteSettings()
		probe.send(p)
		f.Add(p.buf.Bytes()[len(Preface):], uint16(7))
	}
	f.Fuzz(func(t *testing.T, raw []byte, step uint16) {
		whole, pieces := newOwner(true), newOwner(true)
		err := whole.feed(append([]byte(Preface), raw...))
		rest := append([]byte(Preface), raw...)
		var err2 error
		for len(rest) > 0 && err2 == nil {
			n := min(int(step)+1, len(rest))
			err2 = pieces.feed(rest[:n])
			rest = rest[n:]
		}
		whole.answers(t)
		if fmt.Sprint(err) != fmt.Sprint(err2) || fmt.Sprint(whole.heads, whole.ended, whole.reset) != fmt.Sprint(pieces.heads, pieces.ended, pieces.reset) {
			t.Fatalf("whole: %v %v %v, in pieces: %v %v %v", err, whole.heads, whole.reset, err2, pieces.heads, pieces.reset)
		}
		for _, o := range []*owner{whole, pieces} {
			for id, s := range o.conn.streams {
				if s.closed || s.ID != id {
					t.Fatalf("stream %d is in the table", id)
				}
			}
		}
	})
}

func FuzzClient(f *testing.F) {
	p := newPeer()
	p.WriteSettings()
	p.response(1, false, "200", "content-length", "3")
	p.WriteData(1, true, []byte("abc"))
	f.Add(p.buf.Bytes())
	f.Fuzz(func(t *testing.T, raw []byte) {
		o := newOwner(false)
		for range 3 {
			o.conn.Open(new(Stream), &message.Request{Method: "GET", Scheme: "http", Authority: "a", Target: "/"}, message.NoBody, 0)
		}
		_ = o.feed(raw)
		o.answers(t)
		for id := uint32(1); id < 6; id += 2 {
			if _, reset := o.reset[id]; reset && o.ended[id] {
				t.Fatalf("stream %d has ended twice", id)
			}
		}
	})
}
