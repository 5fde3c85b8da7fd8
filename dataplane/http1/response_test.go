package http1

import "testing"

func parseResp(raw, method string) (*Response, error) {
	buf := []byte(raw)
	end, _, err := HeadEnd(buf, 0, DefaultLimits.HeadBytes)
	if err != nil || end == 0 {
		return nil, err
	}
	r := &Response{}
	return r, ParseResponse(buf[:end], method, &DefaultLimits, r)
}

func TestParseResponseFraming(t *testing.T) {
	for _, c := range []struct {
		raw, method string
		framing     Framing
		length      int64
		close       bool
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "GET", Length, 5, false},
		{"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "GET", Length, 0, false},
		{"HTTP/1.1 200\r\nTransfer-Encoding: Chunked\r\n\r\n", "GET", Chunked, 0, false},
		{"HTTP/1.1 200 OK\r\n\r\n", "GET", UntilClose, 0, true},
		{"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", "GET", Length, 5, true},
		{"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n", "GET", Length, 5, false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n", "GET", Length, 5, true},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD", NoBody, 5, false},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HEAD", NoBody, -1, false},
		{"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "GET", NoBody, 5, false},
		{"HTTP/1.1 204 No Content\r\n\r\n", "GET", NoBody, 0, false},
		{"HTTP/1.1 100 Continue\r\n\r\n", "POST", NoBody, 0, false},
	} {
		r, err := parseResp(c.raw, c.method)
		if err != nil {
			t.Errorf("%q: %v", c.raw, err)
			continue
		}
		if r.Framing != c.framing || r.Length != c.length || r.Close != c.close {
			t.Errorf("%q to %s: %v %d close=%v, want %v %d close=%v", c.raw, c.method, r.Framing, r.Length, r.Close, c.framing, c.length, c.close)
		}
	}
}

func TestParseResponseRefuses(t *testing.T) {
	for _, raw := range []string{
		"HTTP/1.1 200 OK\nContent-Length: 5\n\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
		"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
		"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 099 OK\r\n\r\n", "HTTP/1.1 999 OK\r\n\r\n",
		"HTTP/2.0 200 OK\r\n\r\n", "ICY 200 OK\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n", "HTTP/1.1 200OK\r\n\r\n",
		"HTTP/1.1 200 O\x00K\r\n\r\n", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", "HTTP/1.1 200 OK\r\nX y: a\r\n\r\n",
		"\r\nHTTP/1.1 200 OK\r\n\r\n", "\r\n\r\n",
	} {
		if r, err := parseResp(raw, "GET"); err == nil {
			t.Errorf("%q: accepted as %+v", raw, r)
		}
	}
}
