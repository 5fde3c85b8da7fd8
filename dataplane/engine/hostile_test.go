package engine

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// peer is one side of an HTTP/2 connection that a test speaks frame by frame,
// well or badly.
type peer struct {
	c   net.Conn
	fr  *http2.Framer
	enc *hpack.Encoder
	buf *bytes.Buffer
}

func newPeer(c net.Conn) *peer {
	p := &peer{c: c, fr: http2.NewFramer(c, c), buf: new(bytes.Buffer)}
	p.enc = hpack.NewEncoder(p.buf)
	p.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	return p
}

// dialPeer opens a client's connection that takes window bytes of each stream,
// and of all of them as many as there may be.
func dialPeer(t *testing.T, addr string, window uint32) *peer {
	t.Helper()
	p := newPeer(dial(t, addr))
	send(t, p.c, "%s", http2.ClientPreface)
	p.must(t, p.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}))
	p.must(t, p.fr.WriteWindowUpdate(0, 1<<31-1-65535))
	return p
}

func (p *peer) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (p *peer) block(fields ...string) []byte {
	p.buf.Reset()
	for i := 0; i < len(fields); i += 2 {
		_ = p.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return bytes.Clone(p.buf.Bytes())
}

func (p *peer) ask(t *testing.T, id uint32, method, path string, end bool) {
	t.Helper()
	p.must(t, p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndHeaders: true, EndStream: end,
		BlockFragment: p.block(":method", method, ":scheme", "http", ":path", path, ":authority", "a")}))
}

// accept greets a client whose streams may have window bytes under way.
func accept(c net.Conn, window uint32) (*peer, error) {
	p := newPeer(c)
	if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
		return nil, err
	}
	return p, p.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window})
}

func (p *peer) answer(id uint32, status string, end bool) error {
	return p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndHeaders: true, EndStream: end, BlockFragment: p.block(":status", status)})
}

// on runs f on the first event loop, as long as that gives true at last.
func on(t *testing.T, e *Engine, what string, f func(*worker) bool) {
	t.Helper()
	eventually(t, what, func() bool {
		got := make(chan bool, 1)
		e.workers[0].do(func() { got <- f(e.workers[0]) })
		return <-got
	})
}

func oneLoop(o *Options) { o.Workers = 1 }

// An endpoint that refuses connections fails the requests that wait for one.
func TestRefusedConnectionFailsItsQueue(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	m := newMesh(addr)
	m.cluster().Protocol = snapshot.UpstreamHTTP2
	e := start(t, m, oneLoop)
	if status, body := get(t, client(t), "http://"+addrOf(t, e, "in")+"/"); status != 503 || !strings.Contains(body, "connection failure") {
		t.Errorf("%d %q", status, body)
	}
	if n := metric(t, e, "envoy_cluster_upstream_cx_total"); n != 1 {
		t.Errorf("%v connections were tried", n)
	}
}

// Clients that stop reading and go away leave nothing behind that makes the
// streams of others wait for them.
func TestStreamsOfOthersAreWoken(t *testing.T) {
	const size = 12 << 20
	piece := bytes.Repeat([]byte("x"), 64<<10)
	m := newMesh(backend(t, func(w http.ResponseWriter, r *http.Request) {
		for sent := 0; sent < size; sent += len(piece) {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	}))
	e := start(t, m, oneLoop)
	const streams = 4
	open := func() *peer {
		p := dialPeer(t, addrOf(t, e, "in"), 1<<30)
		for i := range streams {
			p.ask(t, uint32(2*i+1), "GET", "/", true)
		}
		on(t, e, "all streams wait for the client", func(w *worker) bool {
			for d := w.conns.first; d != nil; d = d.next {
				if d.mux != nil && len(d.mux.blocked) == streams {
					return true
				}
			}
			return false
		})
		return p
	}
	open().c.Close()
	eventually(t, "the first client is gone", func() bool { return e.Connections() == 0 })
	p := open()
	got := 0
	for ended := 0; ended < streams; {
		f, err := p.fr.ReadFrame()
		if err != nil {
			t.Fatalf("after %d of %d bytes: %v", got, streams*size, err)
		}
		if d, ok := f.(*http2.DataFrame); ok {
			got += len(d.Data())
			if d.StreamEnded() {
				ended++
			}
		}
	}
	if got != streams*size {
		t.Errorf("%d bytes of %d", got, streams*size)
	}
}

// A request that is sent again keeps to the windows that the server has opened.
func TestReplaysKeepToTheWindow(t *testing.T) {
	const window, size = 1000, 8000
	fails, whole := make(chan string, 8), make(chan []byte, 1)
	m := newMesh(rawBackend(t, func(c net.Conn) {
		p, err := accept(c, window)
		if err != nil {
			return
		}
		var body []byte
		allowed := 0
		for {
			f, err := p.fr.ReadFrame()
			if err != nil {
				return
			}
			switch f := f.(type) {
			case *http2.MetaHeadersFrame:
				body, allowed = nil, window
				if f.StreamEnded() {
					_ = p.answer(f.StreamID, "200", true)
				}
			case *http2.DataFrame:
				body = append(body, f.Data()...)
				if len(body) > allowed {
					fails <- fmt.Sprintf("stream %d: %d bytes where %d were allowed", f.StreamID, len(body), allowed)
					return
				}
				switch {
				case f.StreamID == 3 && len(body) == 5000:
					_ = p.fr.WriteRSTStream(3, http2.ErrCodeRefusedStream)
				case f.StreamEnded():
					whole <- body
					_ = p.answer(f.StreamID, "200", true)
				case len(body) == allowed:
					allowed += 4000
					_ = p.fr.WriteWindowUpdate(f.StreamID, 4000)
				}
			}
		}
	}))
	m.cluster().Protocol = snapshot.UpstreamHTTP2
	e := start(t, m, oneLoop)
	url := "http://" + addrOf(t, e, "in") + "/"
	get(t, client(t), url) // the server's settings are known from here on
	on(t, e, "the server's settings have come", func(w *worker) bool {
		for _, p := range w.pools {
			for _, h := range p.hosts {
				return len(h.muxes) == 1 && h.muxes[0].phase == upIdle
			}
		}
		return false
	})
	want := bytes.Repeat([]byte("0123456789"), size/10)
	resp, err := client(t).Post(url, "text/plain", bytes.NewReader(want))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	select {
	case text := <-fails:
		t.Fatal(text)
	case got := <-whole:
		if !bytes.Equal(got, want) || resp.StatusCode != 200 {
			t.Errorf("%d, %d bytes of %d came", resp.StatusCode, len(got), size)
		}
	}
}

// Nothing follows the end of a stream, whoever says how that a response has no
// body.
func TestNothingFollowsTheEnd(t *testing.T) {
	m := newMesh(rawBackend(t, func(c net.Conn) {
		p, err := accept(c, 65535)
		for err == nil {
			var f http2.Frame
			if f, err = p.fr.ReadFrame(); err != nil {
				return
			}
			if f, ok := f.(*http2.MetaHeadersFrame); ok {
				_ = p.answer(f.StreamID, f.PseudoValue("path")[1:], false)
				err = p.fr.WriteData(f.StreamID, true, nil)
			}
		}
	}))
	m.cluster().Protocol = snapshot.UpstreamHTTP2
	e := start(t, m, oneLoop)
	p := dialPeer(t, addrOf(t, e, "in"), 1<<20)
	p.ask(t, 1, "HEAD", "/200", true)
	p.ask(t, 3, "GET", "/204", true)
	p.ask(t, 5, "GET", "/304", true)
	p.ask(t, 7, "GET", "/200", true)
	p.must(t, p.fr.WritePing(false, [8]byte{1}))
	ended := map[uint32]bool{}
	for len(ended) < 4 {
		f, err := p.fr.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		h := f.Header()
		if ended[h.StreamID] && (h.Type == http2.FrameData || h.Type == http2.FrameHeaders) {
			t.Errorf("after the end of the stream: %v", h)
		}
		if h.Type == http2.FrameData && h.Flags.Has(http2.FlagDataEndStream) || h.Type == http2.FrameHeaders && h.Flags.Has(http2.FlagHeadersEndStream) {
			ended[h.StreamID] = true
		}
	}
}

// A connection whose client reads nothing does not stay for ever, even when no
// stream of it is left.
func TestClientThatReadsNothingIsLeft(t *testing.T) {
	t.Parallel()
	piece := bytes.Repeat([]byte("x"), 64<<10)
	m := newMesh(backend(t, func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	}))
	m.chain.HTTP.StreamIdleTimeout = 2 * time.Second
	m.chain.HTTP.IdleTimeout = 100 * time.Millisecond
	e := start(t, m, oneLoop)
	p := dialPeer(t, addrOf(t, e, "in"), 1<<30)
	p.ask(t, 1, "GET", "/", true)
	eventually(t, "the request has begun", func() bool { return e.Connections() == 1 })
	eventually(t, "the connection is closed", func() bool { return e.Connections() == 0 })
}

// Frames that come in pieces, one after the other, are no frame that does not
// come.
func TestFramesInPiecesAreNoStuckFrame(t *testing.T) {
	t.Parallel()
	m := newMesh(h2Backend(t, func(w http.ResponseWriter, r *http.Request) {}))
	m.chain.HTTP.RequestHeadersTimeout = 3 * time.Second
	e := start(t, m, oneLoop)
	p := dialPeer(t, addrOf(t, e, "in"), 1<<20)
	ping := append([]byte{0, 0, 8, byte(http2.FramePing), 0, 0, 0, 0, 0}, "12345678"...)
	send(t, p.c, "%s", ping[:5])
	for began := time.Now(); time.Since(began) < 7*time.Second; {
		send(t, p.c, "%s%s", ping[5:], ping[:5])
		for {
			f, err := p.fr.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if f.Header().Type == http2.FrameGoAway {
				t.Fatalf("after %v: %v", time.Since(began), f)
			}
			if f.Header().Type == http2.FramePing {
				break
			}
		}
		time.Sleep(20 * time.Millisecond) // the pace of the client
	}
}
