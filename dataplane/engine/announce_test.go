package engine

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/meshc/meshc/dataplane/proxyprotocol"
	"github.com/meshc/meshc/dataplane/snapshot"
)

// told is a listener whose connections begin with a header, which says where they
// are from.
type told struct {
	net.Listener
	open *atomic.Int64
}

type toldConn struct {
	net.Conn
	from net.Addr
	open *atomic.Int64
	done atomic.Bool
}

func (c *toldConn) RemoteAddr() net.Addr { return c.from }

func (c *toldConn) Close() error {
	if c.done.CompareAndSwap(false, true) {
		c.open.Add(-1)
	}
	return c.Conn.Close()
}

func (l told) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	head, b := []byte{}, make([]byte, 1)
	for {
		if _, err := io.ReadFull(c, b); err != nil {
			return c, nil
		}
		head = append(head, b...)
		h, _, err := proxyprotocol.Parse(head)
		if errors.Is(err, proxyprotocol.ErrMore) {
			continue
		}
		l.open.Add(1)
		from := net.Addr(&net.TCPAddr{})
		if err == nil && !h.Local {
			from = net.TCPAddrFromAddrPort(h.Source)
		}
		return &toldConn{Conn: c, from: from, open: l.open}, nil
	}
}

// knowing is a server of both protocols that says who it was told of.
func knowing(t *testing.T) (addr string, open *atomic.Int64) {
	t.Helper()
	open = new(atomic.Int64)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.RemoteAddr) }))
	s.Listener = told{s.Listener, open}
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), open
}

// readOne reads one response.
func readOne(t *testing.T, c net.Conn) (int, string) {
	t.Helper()
	resp, body := readResponse(t, bufio.NewReader(c), http.MethodGet)
	return resp.StatusCode, body
}

// Whatever carries them, requests of a client go over connections that are said to
// be its own, which end with the client's.
func TestServersAreToldOfClients(t *testing.T) {
	for _, v := range []proxyprotocol.Version{proxyprotocol.V1, proxyprotocol.V2} {
		for _, protocol := range []snapshot.Upstream{snapshot.UpstreamHTTP1, snapshot.UpstreamHTTP2} {
			addr, open := knowing(t)
			m := newMesh(addr)
			m.cluster().Announce, m.cluster().Protocol = v, protocol
			e := start(t, m, oneLoop)
			var conns []net.Conn
			for range 5 {
				conns = append(conns, dial(t, addrOf(t, e, "in")))
			}
			for i := range 25 {
				c := conns[i*7%5]
				send(t, c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				if resp, body := readOne(t, c); resp != 200 || body != c.LocalAddr().String() {
					t.Fatalf("version %d: %d %q, want %s", v, resp, body, c.LocalAddr())
				}
			}
			if n := open.Load(); n != 5 {
				t.Errorf("version %d: %d connections for 5 clients", v, n)
			}
			for _, c := range conns[1:] {
				c.Close()
			}
			eventually(t, "the connections end with those of the clients", func() bool { return open.Load() == 1 })
			left := make(chan int)
			e.workers[0].do(func() {
				n := 0
				for _, p := range e.workers[0].pools {
					for _, h := range p.hosts {
						n += len(h.told)
					}
				}
				left <- n
			})
			if n := <-left; n != 1 {
				t.Errorf("%d clients are remembered", n)
			}
			m2 := newMesh(addr)
			m2.config.Clusters[clusterName].Endpoints = nil
			m2.cluster().Announce, m2.cluster().Protocol = v, protocol
			if err := e.Apply(m2.config); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the last ends with its endpoint", func() bool { return open.Load() == 0 })
		}
	}
}

// Connections of bytes are told of as well.
func TestServersAreToldOfBytes(t *testing.T) {
	addr, _ := knowing(t)
	m := bytesMesh(addr)
	for _, c := range m.config.Clusters {
		c.Announce = proxyprotocol.V2
	}
	e := start(t, m)
	c := dial(t, addrOf(t, e, "in"))
	send(t, c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if code, body := readOne(t, c); code != 200 || body != c.LocalAddr().String() {
		t.Errorf("%d %q, want %s", code, body, c.LocalAddr())
	}
}

// Without a client there is nobody to tell of.
func TestServersAreToldOfNobody(t *testing.T) {
	var w worker
	p := &pool{w: &w, snap: &snapshot.Cluster{Announce: proxyprotocol.V2}}
	h := &host{pool: p}
	if got := h.of(&aloof); got != h || len(aloof.told) != 0 {
		t.Errorf("%+v", got)
	}
}
