package http1

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshc/meshc/dataplane/message"
)

// What is accepted must come out of AppendRequest as something that is accepted
// again and means the same: otherwise the upstream could read another request
// than the one that was judged.
func FuzzParseRequest(f *testing.F) {
	for raw := range refused {
		f.Add([]byte(raw))
	}
	f.Add([]byte("POST /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nX: y\r\nConnection: x, close\r\n\r\nabc"))
	f.Add([]byte("GET http://a:1/b HTTP/1.0\r\nHost: A:1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		end, _, err := HeadEnd(raw, 0, DefaultLimits.HeadBytes)
		if err != nil || end == 0 {
			return
		}
		var r Request
		if ParseRequest(raw[:end], "http", &DefaultLimits, &r) != nil {
			return
		}
		if r.Method == "" || r.Target == "" || r.Authority == "" {
			t.Fatalf("accepted without method, target or authority: %+v", r)
		}
		out := AppendRequest(nil, &r.Request, r.Framing, r.Length)
		if bytes.Count(out, []byte("\r\n\r\n")) != 1 || !bytes.HasSuffix(out, []byte("\r\n\r\n")) {
			t.Fatalf("%q: written as more than one head: %q", raw, out)
		}
		n, _, err := HeadEnd(out, 0, 1<<20)
		if err != nil || n != len(out) {
			t.Fatalf("%q: written without an end: %q: %v", raw, out, err)
		}
		wide := Limits{HeadBytes: 1 << 20, Fields: 200, TargetBytes: 1 << 20}
		var again Request
		if err := ParseRequest(bytes.Clone(out), "http", &wide, &again); err != nil {
			t.Fatalf("%q: written as %q, which is refused: %v", raw, out, err)
		}
		if r.Framing == NoBody && again.Framing == Length && again.Length == 0 {
			again.Framing = NoBody // "content-length: 0" is added where RFC 9110 §8.6 wants it
		}
		if d := cmp.Diff(copyOf(r.Request), copyOf(again.Request)); d != "" || r.Framing != again.Framing || r.Length != again.Length {
			t.Fatalf("%q: read back differently: %s", raw, d)
		}
	})
}

func copyOf(r message.Request) message.Request {
	if len(r.Fields) == 0 {
		r.Fields = nil
	}
	return r
}

func FuzzParseResponse(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello"), "GET")
	f.Add([]byte("HTTP/1.0 304 Not Modified\r\nConnection: keep-alive, x\r\nx: y\r\n\r\n"), "HEAD")
	f.Add([]byte("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n"), "POST")
	f.Fuzz(func(t *testing.T, raw []byte, method string) {
		end, _, err := HeadEnd(raw, 0, DefaultLimits.HeadBytes)
		if err != nil || end == 0 {
			return
		}
		var r, again Response
		if ParseResponse(raw[:end], method, &DefaultLimits, &r) != nil {
			return
		}
		if r.Framing == UntilClose && !r.Close {
			t.Fatalf("%q: lasts until close on a connection that is kept", raw)
		}
		out := AppendResponse(nil, &r.Response, r.Framing, r.Length, r.Close, false)
		wide := Limits{HeadBytes: 1 << 20, Fields: 200}
		n, _, err := HeadEnd(out, 0, 1<<20)
		if err != nil || n != len(out) {
			t.Fatalf("%q: written as %q: end %d, %v", raw, out, n, err)
		}
		if err := ParseResponse(bytes.Clone(out), method, &wide, &again); err != nil {
			t.Fatalf("%q: written as %q, which is refused: %v", raw, out, err)
		}
		if again.Status != r.Status || again.Framing != r.Framing || r.Framing == Length && again.Length != r.Length {
			t.Fatalf("%q: read back differently: %+v, %+v", raw, r, again)
		}
	})
}

// However a body is cut into reads, it decodes to the same, and what is encoded
// again decodes to the same.
func FuzzChunked(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"), uint8(3))
	f.Add([]byte("5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\nrest"), uint8(1))
	f.Fuzz(func(t *testing.T, raw []byte, step uint8) {
		whole, used, done, err := decode(string(raw), len(raw)+1)
		pieces, used2, done2, err2 := decode(string(raw), int(step)+1)
		if whole != pieces || done != done2 || (err == nil) != (err2 == nil) || err == nil && used != used2 {
			t.Fatalf("%q: %q %d %v %v in one piece, %q %d %v %v in pieces of %d", raw, whole, used, done, err, pieces, used2, done2, err2, step+1)
		}
		if !done {
			return
		}
		var enc []byte
		if whole != "" {
			enc = AppendChunk(enc, []byte(whole))
		}
		enc = AppendLastChunk(enc)
		if body, n, ok, err := decode(string(enc), 11); body != whole || n != len(enc) || !ok || err != nil {
			t.Fatalf("%q: encoded as %q, decoded as %q", whole, enc, body)
		}
	})
}
