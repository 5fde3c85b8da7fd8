package engine

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/meshc/meshc/dataplane/filter"
)

const announced = "PROXY TCP4 192.0.2.7 203.0.113.1 4711 443\r\n"

// What a load balancer says of the client is what upstreams and logs are told,
// however its header comes in; rules hear of the load balancer too.
func TestAnnouncedRequests(t *testing.T) {
	app := backend(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("X-Forwarded-For")) })
	m := newMesh(app)
	m.chain.HTTP.UseRemoteAddress = true
	m.config.Listeners["in"].ProxyProtocol = true
	e := start(t, m)
	const v2 = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xcb\x00\x71\x01\x12\x67\x01\xbb"
	for name, c := range map[string]struct{ header, want string }{
		"version 1": {announced, "192.0.2.7"}, "version 2": {v2, "192.0.2.7"},
		"of itself": {"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", "127.0.0.1"}, "not known": {"PROXY UNKNOWN\r\n", "127.0.0.1"},
	} {
		const ask = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
		for _, step := range []int{1, 7, 1000} {
			conn := dial(t, addrOf(t, e, "in"))
			for text := c.header + ask; text != ""; {
				n := min(step, len(text))
				send(t, conn, "%s", text[:n])
				text = text[n:]
			}
			got, err := io.ReadAll(conn)
			if _, body, ok := cutHead(string(got)); !ok || body != c.want || err != nil {
				t.Errorf("%s, %d bytes at a time: %q, %v", name, step, got, err)
			}
		}
	}
	for _, none := range []string{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "PROXY nonsense\r\n"} {
		conn := dial(t, addrOf(t, e, "in"))
		_, _ = io.WriteString(conn, none)
		if got, _ := io.ReadAll(conn); len(got) > 0 {
			t.Errorf("%q gets %q", none, got)
		}
	}
	if n := metric(t, e, "envoy_listener_downstream_cx_proxy_proto_error"); n != 2 {
		t.Errorf("%v are counted", n)
	}
}

func cutHead(s string) (head, body string, ok bool) {
	for i := range len(s) - 3 {
		if s[i:i+4] == "\r\n\r\n" {
			return s[:i], s[i+4:], true
		}
	}
	return "", "", false
}

// A header in front of TLS that is passed through by its server name.
func TestAnnouncedBytes(t *testing.T) {
	a := newAuthority(t)
	m := bytesMesh(echoServer(t, a.server(serverID)))
	m.chain.TransportProtocol, m.chain.ServerNames = "tls", []string{"mesh"}
	peers := make(seeing, 1)
	m.chain.TCP.Guards = []filter.Network{peers}
	l := m.config.Listeners["in"]
	l.ProxyProtocol, l.InspectTLS = true, true
	e := start(t, m)
	c := dial(t, addrOf(t, e, "in"))
	send(t, c, "%s", announced)
	secured := tls.Client(c, a.client(clientID))
	if err := secured.Handshake(); err != nil {
		t.Fatal(err)
	}
	if seen, local := <-peers, c.LocalAddr().String(); seen.Remote != "192.0.2.7:4711" || seen.Local != "203.0.113.1:443" || seen.Direct != local {
		t.Errorf("%+v, of %s", seen, local)
	}
	echoes(t, secured, 100_000)
}

type seeing chan filter.Peer

func (s seeing) OnConnection(c *filter.Connection) string { s <- c.Peer; return "" }

// Who says nothing, or only half a header, has as long as every client before its
// first request.
func TestSlowHeadersEnd(t *testing.T) {
	m := newMesh(silent(t))
	l := m.config.Listeners["in"]
	l.ProxyProtocol, l.InspectTimeout = true, 50*time.Millisecond
	e := start(t, m)
	for _, say := range []string{"", announced[:20]} {
		c := dial(t, addrOf(t, e, "in"))
		send(t, c, "%s", say)
		if got, err := io.ReadAll(c); len(got) > 0 || isTimeout(err) {
			t.Errorf("%q, %v", got, err)
		}
	}
	c := dial(t, addrOf(t, e, "in")).(closeWriter)
	send(t, c, "%s", announced[:20])
	_ = c.CloseWrite()
	if got, err := io.ReadAll(c); len(got) > 0 || isTimeout(err) {
		t.Errorf("%q, %v", got, err)
	}
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}
