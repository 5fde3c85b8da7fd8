// Package http1 is the HTTP/1.1 codec: bytes go in, message heads and body
// pieces come out, and heads go back to bytes. It keeps RFC 9112 strictly: what
// two implementations could read in two ways is refused, and nothing is ever
// forwarded as it was received. It does no I/O and keeps no state but the
// caller's.
package http1

import "github.com/meshc/meshc/dataplane/message"

// Error is why a message is refused. Status is what a client is told (a bad
// response becomes 502 whatever Status says). After an Error the framing of the
// connection is in doubt: it must be closed.
type Error struct {
	Status int
	Detail string
}

func (e *Error) Error() string { return "http/1: " + e.Detail }

func bad(detail string) *Error { return &Error{Status: 400, Detail: detail} }

// Limits bound a head. Zero values are not "no limit": use DefaultLimits.
type Limits struct {
	HeadBytes   int // from the first byte to the end of the empty line
	Fields      int
	TargetBytes int
}

// DefaultLimits are Envoy's: 60 KiB of head, 100 fields.
var DefaultLimits = Limits{HeadBytes: 60 << 10, Fields: 100, TargetBytes: 32 << 10}

// Framing says how a body ends.
type Framing = message.Framing

// Framings.
const (
	NoBody     = message.NoBody
	Length     = message.Length
	Chunked    = message.Chunked
	UntilClose = message.UntilClose // responses only
)

// Request is a parsed request head with what the connection needs to know.
type Request struct {
	message.Request
	Minor     int // 0 or 1
	Framing   Framing
	Length    int64  // when Framing is Length
	Close     bool   // the client wants, or its version implies, a close after the reply
	Continue  bool   // Expect: 100-continue
	Upgrade   string // what the client asks to upgrade to, "" if nothing
	hopFields []string
}

// Response is a parsed response head.
type Response struct {
	message.Response
	Framing   Framing
	Length    int64
	Close     bool // the upstream will close after this response
	hopFields []string
}

// HeadEnd finds the end of a head in buf. from is where an earlier call
// stopped. It returns the length of the head including its empty line (0 when
// more bytes are needed), and where to go on. A line feed without a carriage
// return before it is refused here, so that a peer that sends bare line feeds
// gets its answer at once. max is Limits.HeadBytes.
func HeadEnd(buf []byte, from, max int) (end, next int, err error) {
	for {
		nl := indexByte(buf, from, '\n')
		if nl < 0 {
			if len(buf) >= max {
				return 0, from, errHeadTooLarge
			}
			return 0, from, nil
		}
		if nl == 0 || buf[nl-1] != '\r' {
			return 0, nl, errBareLF
		}
		if nl+1 > max {
			return 0, nl, errHeadTooLarge
		}
		// An empty line ends the head, except one that stands before it.
		if nl >= 3 && buf[nl-2] == '\n' {
			return nl + 1, nl + 1, nil
		}
		from = nl + 1
	}
}

var (
	errHeadTooLarge  = &Error{Status: 431, Detail: "headers_too_large"}
	errTooManyFields = &Error{Status: 431, Detail: "too_many_headers"}
	errTargetTooLong = &Error{Status: 414, Detail: "path_too_long"}
	errBareLF        = bad("line_feed_without_carriage_return")
	errBareCR        = bad("carriage_return_in_line")
)
