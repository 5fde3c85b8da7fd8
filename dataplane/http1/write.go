package http1

import (
	"net/http"
	"strconv"

	"github.com/meshc/meshc/dataplane/message"
)

// AppendRequest writes r as an HTTP/1.1 head with the given framing. A method
// that has a meaning for content says so when there is none (RFC 9110 §8.6):
// some servers answer 411 otherwise.
func AppendRequest(dst []byte, r *message.Request, framing Framing, length int64) []byte {
	dst = append(dst, r.Method...)
	dst = append(dst, ' ')
	dst = append(dst, r.Target...)
	dst = append(dst, " HTTP/1.1\r\nhost: "...)
	dst = append(dst, r.Authority...)
	dst = append(dst, "\r\n"...)
	dst = appendFields(dst, r.Fields)
	if framing == NoBody && (r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch) {
		framing, length = Length, 0
	}
	dst = appendFraming(dst, framing, length)
	return append(dst, "\r\n"...)
}

// AppendUpgradeRequest writes r, which has no body, as an HTTP/1.1 head that asks
// to upgrade to a protocol.
func AppendUpgradeRequest(dst []byte, r *message.Request, to string) []byte {
	dst = AppendRequest(dst, r, UntilClose, 0)
	return appendUpgrade(dst, to)
}

// AppendUpgradeResponse writes r, whose status is 101, as the head that says so.
func AppendUpgradeResponse(dst []byte, r *message.Response, to string) []byte {
	dst = AppendResponse(dst, r, UntilClose, 0, false, false)
	return appendUpgrade(dst, to)
}

// appendUpgrade puts two fields before the end of a head.
func appendUpgrade(dst []byte, to string) []byte {
	dst = append(dst[:len(dst)-2], "connection: upgrade\r\nupgrade: "...)
	dst = append(dst, to...)
	return append(dst, "\r\n\r\n"...)
}

// AppendResponse writes r as an HTTP/1.1 head. length is written when framing
// is Length, or, with NoBody, when it is not negative and status allows it
// (HEAD and 304 tell a length without a body). close adds "connection: close";
// keepAlive adds "connection: keep-alive", which HTTP/1.0 clients need.
func AppendResponse(dst []byte, r *message.Response, framing Framing, length int64, close, keepAlive bool) []byte {
	dst = append(dst, statusLine(r.Status)...)
	dst = appendFields(dst, r.Fields)
	if framing == NoBody && length >= 0 && r.Status >= 200 && r.Status != 204 {
		framing = Length
	}
	dst = appendFraming(dst, framing, length)
	switch {
	case close:
		dst = append(dst, "connection: close\r\n"...)
	case keepAlive:
		dst = append(dst, "connection: keep-alive\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// AppendChunk writes p, which must not be empty, as one chunk.
func AppendChunk(dst, p []byte) []byte {
	dst = strconv.AppendUint(dst, uint64(len(p)), 16)
	dst = append(dst, "\r\n"...)
	dst = append(dst, p...)
	return append(dst, "\r\n"...)
}

// AppendLastChunk ends a chunked body, without trailers.
func AppendLastChunk(dst []byte) []byte { return append(dst, "0\r\n\r\n"...) }

// ChunkOverhead is the most that AppendChunk adds to a piece, with
// AppendLastChunk behind it.
const ChunkOverhead = 32

// ContinueHead is the interim response that lets a client send its body.
const ContinueHead = "HTTP/1.1 100 Continue\r\n\r\n"

func appendFields(dst []byte, fields []message.Field) []byte {
	for i := range fields {
		dst = append(dst, fields[i].Name...)
		dst = append(dst, ": "...)
		dst = append(dst, fields[i].Value...)
		dst = append(dst, "\r\n"...)
	}
	return dst
}

func appendFraming(dst []byte, framing Framing, length int64) []byte {
	switch framing {
	case Length:
		dst = append(dst, "content-length: "...)
		dst = strconv.AppendInt(dst, length, 10)
		dst = append(dst, "\r\n"...)
	case Chunked:
		dst = append(dst, "transfer-encoding: chunked\r\n"...)
	}
	return dst
}

var statusLines = func() (lines [600]string) {
	for code := 100; code < 600; code++ {
		lines[code] = "HTTP/1.1 " + strconv.Itoa(code) + " " + http.StatusText(code) + "\r\n"
	}
	return lines
}()

func statusLine(code int) string {
	if code < 100 || code > 599 {
		code = 502
	}
	return statusLines[code]
}
