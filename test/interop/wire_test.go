package interop

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// request is what a test sends, to the byte.
type request struct {
	method, target, host string // default GET, /, lab
	headers              []string
	body                 string
	raw                  string // all of it, with {case} where the case goes
}

func (r *request) bytes(id string) string {
	if r.raw != "" {
		return strings.ReplaceAll(r.raw, "{case}", id)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nhost: %s\r\n%s: %s\r\n", or(r.method, "GET"), or(r.target, "/"), or(r.host, "lab"), caseHeader, id)
	for _, h := range r.headers {
		b.WriteString(strings.ReplaceAll(h, "{case}", id) + "\r\n")
	}
	if r.body != "" {
		fmt.Fprintf(&b, "content-length: %d\r\n", len(r.body))
	}
	return b.String() + "\r\n" + r.body
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// response is what came back.
type response struct {
	Status int
	Header map[string][]string
	Body   string
	Err    string // class of what went wrong while reading

	local string // address from which it was asked
	took  time.Duration
}

// send makes one exchange on a connection of its own.
func send(addr string, config *tls.Config, r *request, id string) response {
	begin := time.Now()
	out := exchange(addr, config, r.bytes(id), or(r.method, "GET"))
	out.took = time.Since(begin)
	return out
}

func exchange(addr string, config *tls.Config, raw, method string) response {
	c, err := net.DialTimeout("tcp", addr, time.Minute)
	if err != nil {
		return response{Err: "connect"}
	}
	defer c.Close()
	local := c.LocalAddr().String()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	if config != nil {
		secure := tls.Client(c, config)
		if err := secure.Handshake(); err != nil {
			return response{local: local, Err: "handshake"}
		}
		c = secure
	}
	if _, err := io.WriteString(c, raw); err != nil {
		return response{local: local, Err: "write"}
	}
	in := bufio.NewReader(c)
	res, err := http.ReadResponse(in, &http.Request{Method: method})
	if err == nil && res.StatusCode == http.StatusContinue {
		res, err = http.ReadResponse(in, &http.Request{Method: method})
	}
	if err != nil {
		return response{local: local, Err: readError(err)}
	}
	body, err := io.ReadAll(res.Body)
	out := response{local: local, Status: res.StatusCode, Header: lower(res.Header), Body: string(body)}
	if len(res.TransferEncoding) > 0 {
		out.Header["transfer-encoding"] = res.TransferEncoding
	}
	if err != nil {
		out.Err = readError(err)
	}
	return out
}

// readError gives what a client can tell apart: a connection that ended, and
// one on which nothing came.
func readError(err error) string {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "timeout"
	}
	return "ended"
}
