package engine

import (
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/sys/unix"
)

// held is a server or a crowd of clients that are nothing but descriptors, so that
// what they hold up is all that the memory of the process shows.
type held struct {
	mu  sync.Mutex
	fds []int
}

func (h *held) add(fd int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fds = append(h.fds, fd)
}

func (h *held) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, fd := range h.fds {
		_ = unix.Close(fd)
	}
	h.fds = nil
}

// holder accepts connections, says something on each as far as that goes without
// waiting, and reads nothing.
func holder(t *testing.T, say string) string {
	t.Helper()
	l, err := listen(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(l.fd, false); err != nil {
		t.Fatal(err)
	}
	var all held
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			fd, _, err := unix.Accept4(l.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				return
			}
			_, _ = unix.Write(fd, []byte(say))
			all.add(fd)
		}
	}()
	t.Cleanup(func() {
		_ = unix.Shutdown(l.fd, unix.SHUT_RDWR) // which ends the wait
		<-done
		l.close()
		all.close()
	})
	return l.addr.String()
}

// connect opens a connection, says something and holds it.
func (h *held) connect(t *testing.T, at, say string) {
	t.Helper()
	_, sa := sockaddr(netip.MustParseAddrPort(at))
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	h.add(fd)
	if err := unix.Connect(fd, sa); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(fd, []byte(say)); err != nil {
		t.Fatal(err)
	}
}

// slowKinds are ways to hold a connection up.
func slowKinds() map[string]string {
	settings := http2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	return map[string]string{
		"says nothing":       "",
		"half a head":        "GET / HTTP/1.1\r\nHost: a\r\nX-",
		"half a body":        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc",
		"half a chunk":       "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc",
		"reads nothing":      "GET /big HTTP/1.1\r\nHost: a\r\n\r\n",
		"half a preface":     http2.ClientPreface[:10],
		"no settings":        http2.ClientPreface,
		"no request":         settings,
		"half a frame":       settings + "\x00\x00\x20\x01",
		"half a header":      settings + "\x00\x00\x03\x01\x00\x00\x00\x00\x01\x82\x87\x84",
		"TLS: says nothing":  "",
		"TLS: half a record": "\x16\x03\x01\x02\x00\x01\x00",
	}
}

// allowed is the bytes that a connection of a kind may cost.
func allowed(kind string) int64 {
	switch kind {
	case "half a body", "half a chunk": // an upstream connection is theirs too
		return 28 << 10
	case "half a frame": // which has a buffer that the whole of it fits in
		return 24 << 10
	case "reads nothing": // what has come for it waits in buffers of both connections
		return 256 << 10
	}
	return 12 << 10
}

// Clients that hold a connection up are closed on time, and cost little until then:
// 10,000 of each kind with MESHC_SOAK, and 2 % of that else. What a machine cannot
// open within the limit is tried with a longer one: all have to be there at once.
func TestSlowClientsAreCheapAndClosed(t *testing.T) {
	n, limit := 200, 500*time.Millisecond
	if os.Getenv("MESHC_SOAK") != "" {
		n, limit = 10_000, 20*time.Second
	}
	n = affordable(t, n)
	a := newAuthority(t)
	for name, say := range slowKinds() {
		t.Run(name, func(t *testing.T) {
			m := newMesh(holder(t, answerTo(say)))
			if strings.HasPrefix(name, "TLS") {
				m.chain.TLS = a.server(serverID)
			}
			limit := limit
			for !slowCrowd(t, m, name, say, n, limit) {
				if limit *= 4; limit > time.Minute {
					t.Fatalf("%d connections cannot be opened within %v", n, limit/4)
				}
			}
		})
	}
}

func answerTo(say string) string {
	if !strings.Contains(say, "/big") {
		return ""
	}
	return "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + strings.Repeat("x", 256<<10)
}

// slowCrowd holds n slow clients against what they may cost and how long they may
// stay. It is false if they could not be opened before the first had to go.
func slowCrowd(t *testing.T, m *mesh, name, say string, n int, limit time.Duration) bool {
	t.Helper()
	h := m.chain.HTTP
	h.RequestHeadersTimeout, h.StreamIdleTimeout, h.IdleTimeout = limit, limit, limit
	m.chain.HandshakeTimeout = limit
	e := start(t, m, func(o *Options) { o.MaxConnections = 2 * n })
	at := addrOf(t, e, "in")
	var clients held
	defer clients.close()
	before, begin := inUse(), time.Now()
	for range n {
		clients.connect(t, at, say)
	}
	for e.Connections() < n && time.Since(begin) < limit {
		time.Sleep(time.Millisecond)
	}
	opened := time.Since(begin)
	most := e.Connections()
	if most < n*9/10 {
		if opened < limit {
			t.Fatalf("%d connections of %d after %v", most, n, opened)
		}
		return false
	}
	each := (inUse() - before) / int64(most)
	if each > allowed(name) {
		t.Errorf("%d bytes each", each)
	}
	for e.Connections() > 0 {
		if time.Since(begin) > opened+2*limit+30*time.Second {
			t.Fatalf("%d connections are left after %v", e.Connections(), time.Since(begin))
		}
		time.Sleep(time.Millisecond)
	}
	t.Logf("%d connections in %v, %d bytes each, closed after %v (limit %v)", n, opened, each, time.Since(begin)-opened, limit)
	return true
}

func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// affordable is n, or as many connections as there may be open files for: a client,
// a connection of the proxy's on each side, and a server.
func affordable(t *testing.T, n int) int {
	t.Helper()
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	want := uint64(4*n + 1000)
	if old.Cur >= want {
		return n
	}
	if unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: want, Max: max(want, old.Max)}) == nil {
		t.Cleanup(func() { _ = unix.Setrlimit(unix.RLIMIT_NOFILE, &old) })
		return n
	}
	t.Logf("%d open files are not allowed here: %d connections of %d", want, (old.Cur-1000)/4, n)
	return int(old.Cur-1000) / 4
}
