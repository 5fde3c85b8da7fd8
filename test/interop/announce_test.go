package interop

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/meshc/meshc/dataplane/proxyprotocol"
)

const announceMesh = `package mesh

service: web: {versions: v1: {}, uses: {one: {}, two: {}, far: {}}}
gateway: out: kind: "egress"
external: one: {host: "one.test", ports: web: {number: 9080, protocol: "http"}, endpoints: ["192.0.2.1:80"], proxyProtocol: "v1"}
external: two: {host: "two.test", ports: bytes: {number: 9080, protocol: "tcp"}, endpoints: ["192.0.2.1:80"], proxyProtocol: "v2"}
external: far: {host: "far.test", ports: web: {number: 9080, protocol: "http"}, endpoints: ["192.0.2.1:80"], proxyProtocol: "v2", via: "out"}
`

// knower is a server that reads who its clients are said to be, and answers.
type knower struct {
	mu      sync.Mutex
	sources []netip.AddrPort
}

func (s *knower) seen() []netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sources
}

func (s *knower) start(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { s.serve(t, c) })
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return l.Addr().String()
}

// serve takes one header, which proxies send by itself and at once, and answers one
// request behind it.
func (s *knower) serve(t *testing.T, c net.Conn) {
	defer c.Close()
	buf := make([]byte, proxyprotocol.MaxBytes)
	for n := 0; ; {
		more, err := c.Read(buf[n:])
		if err != nil {
			return
		}
		n += more
		h, _, err := proxyprotocol.Parse(buf[:n])
		if err == proxyprotocol.ErrMore {
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", buf[:n], err)
			return
		}
		s.mu.Lock()
		s.sources = append(s.sources, h.Source)
		s.mu.Unlock()
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
		return
	}
}

// Servers outside are told who the client of the proxy is that goes there.
func TestAnnounced(t *testing.T) {
	for _, k := range kinds {
		t.Run(string(k), func(t *testing.T) { announcedOf(t, k) })
	}
}

func announcedOf(t *testing.T, k kind) {
	b := newBed(t, compileText(t, announceMesh))
	servers := map[string]*knower{}
	for _, name := range []string{"one", "two", "far"} {
		servers[name] = &knower{}
		b.mesh.External(ref(name)).Endpoints = []string{servers[name].start(t)}
	}
	b.sidecar(ref("web"), "v1", k, "")
	b.gateway(ref("out"), k)
	b.run()
	for _, name := range []string{"one", "two", "far"} {
		at := b.client(k, name)
		c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 7)}, Timeout: patience}).Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nhost: "+name+".test\r\n\r\n")
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil || line != "HTTP/1.1 200 OK\r\n" {
			t.Errorf("%s: %q, %v", name, line, err)
		}
		want := netip.MustParseAddrPort(c.LocalAddr().String())
		sources := servers[name].seen()
		switch {
		case len(sources) == 0:
			t.Errorf("%s: told nothing", name)
		case name == "far": // told of the caller's proxy, whose port is its own
			if got := sources[len(sources)-1]; got.Addr().String() != "127.0.0.1" || got == want {
				t.Errorf("far: told of %s", got)
			}
		case sources[len(sources)-1] != want:
			t.Errorf("%s: told of %s, want %s", name, sources, want)
		}
	}
	for _, x := range b.all() {
		x.refusedNothing()
	}
}
