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

// recorder is an origin that writes down every byte, connection by connection, and
// answers each request that it can read.
type recorder struct {
	mu   sync.Mutex
	logs []*strings.Builder // of connections, since take
}

func (r *recorder) serve(c net.Conn) {
	log := &strings.Builder{}
	br := bufio.NewReader(io.TeeReader(c, writerFunc(func(p []byte) (int, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if log.Len() == 0 {
			r.logs = append(r.logs, log)
		}
		return log.Write(p)
	})))
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

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// take gives what came on each connection since the last call.
func (r *recorder) take() (logs []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, log := range r.logs {
		logs = append(logs, log.String())
		log.Reset()
	}
	r.logs = nil
	return logs
}

type probe struct {
	raw    string
	status int      // 0: any that refuses
	origin []string // request lines
}

// probes: what stands before the marker request decides what a reader makes of
// the marker. reject: nothing may reach the origin as a request, and the
// connection ends. Others must arrive as exactly the requests given.
var probes = []probe{
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
	all := append(probes[:len(probes):len(probes)], corpus()...)
	if len(all) < 300 {
		t.Fatalf("only %d probes", len(all))
	}
	t.Logf("%d probes", len(all))
	rec := &recorder{}
	m := newMesh(rawBackend(t, rec.serve))
	m.chain.HTTP.Codec = snapshot.CodecHTTP1
	e := start(t, m, func(o *Options) { o.Workers = 1 })
	for i, p := range all {
		for _, reused := range []bool{false, true} {
			t.Run(fmt.Sprint(i, " reused=", reused), func(t *testing.T) { p.try(t, addrOf(t, e, "in"), rec, reused) })
		}
	}
}

const afterwards = "GET /after HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

// try sends the probe, on a new connection or after a good request, with a good
// one behind it; and then somebody else asks, who must not get to feel it.
func (p *probe) try(t *testing.T, at string, rec *recorder, reused bool) {
	c := dial(t, at)
	r := bufio.NewReader(c)
	if reused {
		send(t, c, "GET /first HTTP/1.1\r\nHost: a\r\n\r\n")
		readResponse(t, r, "GET")
	}
	go io.WriteString(c, p.raw+"GET /marker HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	resp, _ := readResponse(t, r, "GET")
	if resp.StatusCode != p.status && (p.status != 0 || resp.StatusCode < 400) {
		t.Errorf("%.80q: status %d, want %d", p.raw, resp.StatusCode, p.status)
	}
	if p.status != 200 && !resp.Close && p.status != 501 {
		t.Errorf("%.80q: refused without closing", p.raw)
	}
	io.Copy(io.Discard, r)
	other := dial(t, at)
	send(t, other, afterwards)
	if resp, _ := readResponse(t, bufio.NewReader(other), "GET"); resp.StatusCode != 200 {
		t.Errorf("%.80q: the next request has %d", p.raw, resp.StatusCode)
	}
	var lines []string
	for _, log := range rec.take() {
		lines = append(lines, originRequests(t, p, log)...)
	}
	if fmt.Sprint(lines) != fmt.Sprint(p.origin) {
		t.Errorf("%.80q: origin got requests %q, want %q", p.raw, lines, p.origin)
	}
}

// originRequests gives the requests of a connection: nothing malformed. A body
// that turns out bad has begun by then: its request may be there, broken off, but
// not whole, and nothing comes after it.
func originRequests(t *testing.T, p *probe, got string) (lines []string) {
	t.Helper()
	r := bufio.NewReader(strings.NewReader(got))
	for {
		if line, _ := r.Peek(1); len(line) == 0 {
			return lines
		}
		req, err := http.ReadRequest(r)
		if err != nil {
			t.Errorf("%.80q: origin got what is no request: %.200q", p.raw, got)
			return lines
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			if strings.Contains(string(body), "/after") {
				t.Errorf("%.80q: a broken connection is used again: %.200q", p.raw, got)
			}
			return lines
		}
		switch {
		case req.URL.Path == "/first", req.URL.Path == "/after", req.URL.Path == "/marker" && p.status == 200:
		default:
			lines = append(lines, req.Method+" "+req.RequestURI+" "+req.Proto)
		}
	}
}
