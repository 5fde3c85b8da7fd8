package engine

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// recorder is an origin that writes down every byte and answers each request
// that it can read.
type recorder struct {
	mu  sync.Mutex
	raw strings.Builder
}

func (r *recorder) serve(c net.Conn) {
	br := bufio.NewReader(io.TeeReader(c, r))
	for {
		req, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	}
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.raw.Write(p)
}

func (r *recorder) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.raw.String()
	r.raw.Reset()
	return s
}

// probes: what stands before the marker request decides what a reader makes of
// the marker. reject: nothing may reach the origin as a request, and the
// connection ends. Others must arrive as exactly the requests given.
var probes = []struct {
	raw    string
	status int
	origin []string // request lines
}{
	{"GET / HTTP/1.1\nHost: a\n\n", 400, nil},
	{"GET / HTTP/1.1\r\nHost: a\n\r\n", 400, nil},
	{"GET / HTTP/1.1\r\nHost: a\r\n\n", 400, nil},
	{"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400, nil},
	{"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", 400, nil},
	{"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400, nil},
	{"GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", 400, nil},
	{"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, nil},
	{"GET / HTTP/1.1\r\n\r\n", 400, nil},
	{"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, nil},
	{"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, nil},
	{"GET http://evil/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, nil},
	{"GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n", 200, []string{"GET /x HTTP/1.1"}},
	{"GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", 400, nil},
	{"GET /a/../admin HTTP/1.1\r\nHost: a\r\n\r\n", 400, nil},
	{"GET /a/%2e%2e/admin HTTP/1.1\r\nHost: a\r\n\r\n", 400, nil},
	{"GET admin HTTP/1.1\r\nHost: a\r\n\r\n", 400, nil},
	{"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, nil},
	{"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505, nil},
	{"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 501, nil},
	{"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405, nil},
	{"get / HTTP/1.1\r\nHost: a\r\n\r\n", 400, nil},
	{"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400, nil},
	{" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, nil},
	{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, nil},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, nil},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", 400, nil},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd", 400, nil},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4, 4\r\n\r\nabcd", 400, nil},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\nabcd", 400, nil},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4a\r\n\r\nabcd", 400, nil},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\n", 400, nil},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 4\r\n\r\n", 200, []string{"POST / HTTP/1.1"}},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400, nil},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400, nil},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 400, nil},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n", 400, nil},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", 400, nil},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n", 400, nil},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400, nil},
	{"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, nil},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400, nil},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n", 400, nil},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\na\r\n0\r\n\r\n", 400, nil},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n", 400, nil},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", 400, nil},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n", 400, nil},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;\n\r\na\r\n0\r\n\r\n", 400, nil},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX y: z\r\n\r\n", 400, nil},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\n\n", 400, nil},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n", 400, nil},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n 1\r\na\r\n0\r\n\r\n", 400, nil},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n", 400, nil},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n1;x=y\r\na\r\n0\r\nContent-Length: 9\r\n\r\n", 200, []string{"POST / HTTP/1.1"}},
	{"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continuex\r\n\r\n", 417, nil},
	{"GET / HTTP/1.1\r\nHost: a\r\nConnection: Host\r\n\r\n", 200, []string{"GET / HTTP/1.1"}},
	{"GET / HTTP/1.1\r\nHost: a\r\nConnection: content-length\r\nContent-Length: 0\r\n\r\n", 200, []string{"GET / HTTP/1.1"}},
	{"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 200, []string{"GET / HTTP/1.1"}},
	{"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\nGET /inner HTTP/1.1\r", 200, []string{"GET / HTTP/1.1"}},
	{"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 200, []string{"GET / HTTP/1.1"}},
	{"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, nil},
	{"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", 403, nil},
	{"\x16\x03\x01\x00\x05hello\r\n\r\n", 400, nil},
	{"GET /" + strings.Repeat("a", 40<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n", 414, nil},
	{"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 64<<10) + "\r\n\r\n", 431, nil},
	{"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: a\r\n", 200) + "\r\n", 431, nil},
}

func TestSmugglingProbes(t *testing.T) {
	if len(probes) < 60 {
		t.Fatalf("only %d probes", len(probes))
	}
	rec := &recorder{}
	m := newMesh(rawBackend(t, rec.serve))
	m.chain.HTTP.Codec = snapshot.CodecHTTP1
	e := start(t, m, func(o *Options) { o.Workers = 1 })
	for i, p := range probes {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			c := dial(t, addrOf(t, e, "in"))
			go io.WriteString(c, p.raw+"GET /marker HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			r := bufio.NewReader(c)
			resp, _ := readResponse(t, r, "GET")
			if resp.StatusCode != p.status {
				t.Errorf("%.80q: status %d, want %d", p.raw, resp.StatusCode, p.status)
			}
			if p.status != 200 && !resp.Close && p.status != 501 {
				t.Errorf("%.80q: refused without closing", p.raw)
			}
			io.Copy(io.Discard, r)
			checkOrigin(t, p.raw, p.origin, p.status, rec.take())
		})
	}
}

// checkOrigin: nothing malformed, nothing that was not meant. A body that turns
// out bad has begun by then: its request may be there, broken off, but not whole.
func checkOrigin(t *testing.T, raw string, want []string, status int, got string) {
	t.Helper()
	r := bufio.NewReader(strings.NewReader(got))
	var lines []string
	for {
		line, _ := r.Peek(1)
		if len(line) == 0 {
			break
		}
		req, err := http.ReadRequest(r)
		if err != nil {
			t.Errorf("%.80q: origin got what is no request: %.200q", raw, got)
			return
		}
		_, err = io.Copy(io.Discard, req.Body)
		if err != nil {
			break
		}
		if req.URL.Path != "/marker" || status != 200 {
			lines = append(lines, req.Method+" "+req.RequestURI+" "+req.Proto)
		}
	}
	if fmt.Sprint(lines) != fmt.Sprint(want) {
		t.Errorf("%.80q: origin got requests %q, want %q", raw, lines, want)
	}
}
