package engine

import (
	"bufio"
	"io"
	"net"
	"testing"
)

// A length that nobody has told is not told either (RFC 9110 §8.6): clients
// would take it for that of what GET gives.
func TestNoLengthIsInvented(t *testing.T) {
	for _, head := range []string{"HTTP/1.0 400 Bad Request\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nbody that should not be there", "HTTP/1.1 304 Not Modified\r\n\r\n"} {
		e := start(t, newMesh(rawBackend(t, func(c net.Conn) {
			_, _ = readRequestHead(bufio.NewReader(c))
			_, _ = io.WriteString(c, head)
		})))
		c := dial(t, addrOf(t, e, "in"))
		send(t, c, "HEAD / HTTP/1.1\r\nhost: a\r\n\r\n")
		resp, _ := readResponse(t, bufio.NewReader(c), "HEAD")
		if l := resp.Header.Get("content-length"); l != "" {
			t.Errorf("%q: content-length %s", head, l)
		}
	}
}
