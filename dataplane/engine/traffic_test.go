package engine

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/dataplane/route"
)

func TestKeepsConnectionsOnBothSides(t *testing.T) {
	seen := make(chan string, 100)
	app := backend(t, func(w http.ResponseWriter, r *http.Request) { seen <- r.RemoteAddr })
	e := start(t, newMesh(app))
	c := dial(t, addrOf(t, e, "in"))
	r := bufio.NewReader(c)
	for range 20 {
		send(t, c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		readResponse(t, r, "GET")
	}
	first := <-seen
	for range 19 {
		if a := <-seen; a != first {
			t.Fatalf("upstream connection changed from %s to %s", first, a)
		}
	}
}

func TestAnswersPipelinedRequestsInOrder(t *testing.T) {
	app := backend(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s", r.URL.Path, b)
	})
	e := start(t, newMesh(app))
	c := dial(t, addrOf(t, e, "in"))
	var all strings.Builder
	const n = 200
	for i := range n {
		switch i % 3 {
		case 0:
			fmt.Fprintf(&all, "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i)
		case 1:
			fmt.Fprintf(&all, "POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", i)
		case 2:
			fmt.Fprintf(&all, "POST /%d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", i)
		}
	}
	go io.WriteString(c, all.String())
	r := bufio.NewReader(c)
	for i := range n {
		want := fmt.Sprintf("/%d ", i)
		if i%3 != 0 {
			want += "abc"
		}
		if resp, body := readResponse(t, r, "GET"); resp.StatusCode != 200 || body != want {
			t.Fatalf("answer %d: %d %q, want %q", i, resp.StatusCode, body, want)
		}
	}
}

func TestResponsesWithoutBody(t *testing.T) {
	app := backend(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(204)
		case "/304":
			w.WriteHeader(304)
		default:
			w.Header().Set("Content-Length", "5")
			io.WriteString(w, "hello")
		}
	})
	e := start(t, newMesh(app))
	c := dial(t, addrOf(t, e, "in"))
	r := bufio.NewReader(c)
	for _, want := range []struct {
		method, path string
		status       int
		length       int64
	}{{"HEAD", "/", 200, 5}, {"GET", "/204", 204, 0}, {"GET", "/304", 304, 0}, {"GET", "/", 200, 5}} {
		send(t, c, "%s %s HTTP/1.1\r\nHost: a\r\n\r\n", want.method, want.path)
		resp, err := http.ReadResponse(r, &http.Request{Method: want.method})
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		if resp.StatusCode != want.status || resp.ContentLength != want.length || resp.Close {
			t.Errorf("%s %s: %d length %d close %v, want %d length %d", want.method, want.path, resp.StatusCode, resp.ContentLength, resp.Close, want.status, want.length)
		}
	}
}

func TestHTTP10Clients(t *testing.T) {
	app := backend(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello")
		w.(http.Flusher).Flush() // chunked
	})
	e := start(t, newMesh(app))
	for _, keep := range []string{"", "Connection: keep-alive\r\n"} {
		c := dial(t, addrOf(t, e, "in"))
		send(t, c, "GET / HTTP/1.0\r\nHost: a\r\n%s\r\n", keep)
		all, err := io.ReadAll(c) // a chunked body cannot be told to HTTP/1.0 but by closing
		if err != nil || strings.Contains(string(all), "chunked") || !strings.HasSuffix(string(all), "\r\n\r\nhello") {
			t.Errorf("%q: %q, %v", keep, all, err)
		}
	}
}

func TestBodyUntilClose(t *testing.T) {
	app := rawBackend(t, func(c net.Conn) {
		readRequestHead(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n"+strings.Repeat("x", 100_000))
	})
	e := start(t, newMesh(app))
	for range 3 {
		status, body := get(t, client(t), "http://"+addrOf(t, e, "in")+"/")
		if status != 200 || len(body) != 100_000 {
			t.Errorf("%d, %d bytes", status, len(body))
		}
	}
}

func TestInterimResponsesAndTrailersAreDropped(t *testing.T) {
	app := rawBackend(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		for {
			if _, err := readRequestHead(r); err != nil {
				return
			}
			io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n5\r\nhello\r\n0\r\nX-T: y\r\n\r\n")
		}
	})
	e := start(t, newMesh(app))
	c := dial(t, addrOf(t, e, "in"))
	r := bufio.NewReader(c)
	for range 2 {
		send(t, c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		resp, body := readResponse(t, r, "GET")
		if resp.StatusCode != 200 || body != "hello" || len(resp.Trailer) != 0 || resp.Header.Get("Link") != "" {
			t.Errorf("%d %q trailer %v header %v", resp.StatusCode, body, resp.Trailer, resp.Header)
		}
	}
	if n := metric(t, e, "envoy_cluster_upstream_cx_total"); n != 1 {
		t.Errorf("%v upstream connections, want one that is kept", n)
	}
}

func TestExpectContinue(t *testing.T) {
	app := backend(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %q", b, r.Header.Get("Expect"))
	})
	e := start(t, newMesh(app))
	c := dial(t, addrOf(t, e, "in"))
	r := bufio.NewReader(c)
	for range 2 {
		send(t, c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
		if head, err := readRequestHead(r); err != nil || head != "HTTP/1.1 100 Continue\r\n\r\n" {
			t.Fatalf("%q, %v", head, err)
		}
		send(t, c, "hello")
		if _, body := readResponse(t, r, "POST"); body != `hello ""` {
			t.Fatalf("body %q", body)
		}
	}
}

// The upstream answers while the client is still sending: the answer must reach
// the client, and neither connection may be used again.
func TestEarlyResponse(t *testing.T) {
	app := rawBackend(t, func(c net.Conn) {
		readRequestHead(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 413 Too Big\r\nContent-Length: 3\r\n\r\nbig")
	})
	e := start(t, newMesh(app))
	c := dial(t, addrOf(t, e, "in"))
	send(t, c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
	go io.CopyN(c, pattern{}, 10<<20)
	resp, body := readResponse(t, bufio.NewReader(c), "POST")
	if resp.StatusCode != 413 || body != "big" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	eventually(t, "the connections are closed", func() bool {
		return e.Connections() == 0 && metric(t, e, "envoy_cluster_upstream_cx_active") == 0
	})
}

// A client that does not read must stop the upstream, not fill memory.
func TestSlowReaderHoldsTheUpstreamBack(t *testing.T) {
	sent := make(chan int64, 1)
	stop := make(chan struct{})
	app := backend(t, func(w http.ResponseWriter, r *http.Request) {
		var n int64
		rc := http.NewResponseController(w)
		buf := []byte(strings.Repeat("x", 64<<10))
		for n < 256<<20 {
			rc.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
			k, err := w.Write(buf)
			n += int64(k)
			if err != nil {
				break
			}
		}
		sent <- n
		<-stop
	})
	e := start(t, newMesh(app))
	c := dial(t, addrOf(t, e, "in"))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	send(t, c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	n := <-sent
	runtime.ReadMemStats(&after)
	close(stop)
	if n > 32<<20 {
		t.Errorf("upstream could send %d MiB to a client that reads nothing", n>>20)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("heap grew by %d KiB", grown>>10)
	}
}

// A client that trickles must neither be cut off nor lose bytes.
func TestSlowWriter(t *testing.T) {
	app := backend(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	e := start(t, newMesh(app))
	c := dial(t, addrOf(t, e, "in"))
	raw := "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x\r\n world\r\n0\r\n\r\n"
	for i := range raw {
		send(t, c, "%s", raw[i:i+1])
		time.Sleep(200 * time.Microsecond)
	}
	if _, body := readResponse(t, bufio.NewReader(c), "POST"); body != "hello world" {
		t.Errorf("body %q", body)
	}
}

func TestHeaderMutationsInEnvoysOrder(t *testing.T) {
	app := backend(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-App", "1")
		w.Header().Set("Server", "app")
		fmt.Fprintf(w, "%q %q %q", r.Header["X-A"], r.Header["X-Gone"], r.Header.Get("X-Forwarded-Proto"))
	})
	m := newMesh(app)
	m.entry.Clusters[0].Request = route.HeaderMutations{Mutate: []route.HeaderMutation{{Name: "x-a", Value: "cluster"}}}
	m.entry.Request = route.HeaderMutations{Remove: []string{"x-gone"}, Mutate: []route.HeaderMutation{{Name: "x-a", Value: "route"}}}
	m.entry.Response = route.HeaderMutations{Remove: []string{"x-app"}, Mutate: []route.HeaderMutation{{Name: "x-b", Value: "2"}}}
	m.chain.HTTP.ServerName = "mesh"
	e := start(t, m)
	c := dial(t, addrOf(t, e, "in"))
	send(t, c, "GET / HTTP/1.1\r\nHost: a\r\nX-A: client\r\nX-Gone: 1\r\n\r\n")
	resp, body := readResponse(t, bufio.NewReader(c), "GET")
	if body != `["client" "cluster" "route"] [] "http"` {
		t.Errorf("upstream saw %s", body)
	}
	h := resp.Header
	if h.Get("X-App") != "" || h.Get("X-B") != "2" || h.Get("Server") != "mesh" || h.Get("Date") == "" {
		t.Errorf("client saw %v", h)
	}
}

func TestEdgeTakesNothingOnTrust(t *testing.T) {
	app := backend(t, func(w http.ResponseWriter, r *http.Request) {
		for _, n := range []string{"X-Envoy-Retry-On", "X_envoy_max_retries", "X-Forwarded-Proto", "X_forwarded_for", "X-Forwarded-For", "X-Forwarded-Client-Cert", "X_forwarded_client_cert"} {
			fmt.Fprintf(w, "%s=%q\n", n, r.Header[http.CanonicalHeaderKey(n)])
		}
		if id := r.Header.Get("X-Request-Id"); len(id) != 36 {
			fmt.Fprintf(w, "request id %q\n", id)
		}
	})
	m := newMesh(app)
	m.chain.HTTP.UseRemoteAddress = true
	e := start(t, m)
	c := dial(t, addrOf(t, e, "in"))
	send(t, c, "GET / HTTP/1.1\r\nHost: a\r\nX-Envoy-Retry-On: 5xx\r\nX_Envoy_Max_Retries: 9\r\nX-Forwarded-Proto: https\r\nX_Forwarded_For: 1.1.1.1\r\n"+
		"X-Forwarded-For: 2.2.2.2\r\nX-Request-Id: evil\r\nX-Forwarded-Client-Cert: URI=spiffe://x\r\nX_forwarded_client_cert: URI=spiffe://x\r\n\r\n")
	_, body := readResponse(t, bufio.NewReader(c), "GET")
	want := "X-Envoy-Retry-On=[]\nX_envoy_max_retries=[]\nX-Forwarded-Proto=[\"http\"]\nX_forwarded_for=[]\nX-Forwarded-For=[\"2.2.2.2,127.0.0.1\"]\nX-Forwarded-Client-Cert=[]\nX_forwarded_client_cert=[]\n"
	if body != want {
		t.Errorf("upstream saw\n%s\nwant\n%s", body, want)
	}
}
