package engine

import (
	"bufio"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/meshc/meshc/dataplane/filter"
)

// What one request allocates is what the garbage collector costs: one string for
// the request id, and nothing else.
func TestRequestsHardlyAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	answer := []byte("HTTP/1.1 200 OK\r\nServer: app\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello")
	app := rawBackend(t, func(c net.Conn) {
		buf := make([]byte, 4096)
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
			c.Write(answer)
		}
	})
	m := newMesh(app)
	m.chain.HTTP.Filters = []filter.HTTP{admitting(t)}
	e := start(t, m, func(o *Options) { o.Workers = 1 })
	c := dial(t, addrOf(t, e, "in"))
	request := []byte("GET /a HTTP/1.1\r\nHost: example\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n")
	r := bufio.NewReader(c)
	buf := make([]byte, 4096)
	once := func() {
		c.Write(request)
		n := 0
		for n < 100 {
			k, err := r.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			n += k
		}
	}
	for range 200 {
		once()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const n = 5000
	for range n {
		once()
	}
	runtime.ReadMemStats(&after)
	if per := float64(after.Mallocs-before.Mallocs) / n; per > 1.5 {
		t.Errorf("%.2f allocations per request", per)
	} else {
		t.Logf("%.2f allocations per request", per)
	}
}

// Connections that only sit there, with half a head, must stay cheap.
func TestHalfHeadsAreCheap(t *testing.T) {
	m := newMesh(silent(t))
	e := start(t, m)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const n = 1000
	for range n {
		c := dial(t, addrOf(t, e, "in"))
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nX-")
	}
	eventually(t, "all are accepted", func() bool { return e.Connections() == n })
	time.Sleep(10 * time.Millisecond)
	runtime.GC()
	runtime.ReadMemStats(&after)
	// The clients of the test are in the figure too.
	if per := int(after.HeapAlloc-before.HeapAlloc) / n; per > 9<<10 {
		t.Errorf("%d bytes per connection", per)
	} else {
		t.Logf("%d bytes per connection", per)
	}
}
