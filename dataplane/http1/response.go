package http1

import (
	"strings"

	"github.com/meshc/meshc/dataplane/message"
)

var (
	errStatusLine = bad("invalid_status_line")
	errUpgraded   = bad("switching_protocols_not_asked_for")
)

// ParseResponse parses one complete response head, as found by HeadEnd, into r.
// method is the request's: the answer to HEAD has no body. Interim responses
// (1xx) come back like any other, with NoBody. An error means that nothing of
// the upstream connection can be trusted any more.
func ParseResponse(head []byte, method string, lim *Limits, r *Response) error {
	return ParseUpgrade(head, method, "", lim, r)
}

// ParseUpgrade is ParseResponse for a request that asks to upgrade to asked, ""
// for none. 101 Switching Protocols to that, and to nothing else, is final; what
// follows it is the other protocol, until the connection ends.
func ParseUpgrade(head []byte, method, asked string, lim *Limits, r *Response) error {
	if err := parseResponse(head, method, asked, lim, r); err != nil {
		return err
	}
	return nil
}

func parseResponse(head []byte, method, asked string, lim *Limits, r *Response) *Error {
	fields, hop := r.Fields[:0], r.hopFields[:0]
	*r = Response{hopFields: hop}
	r.Fields = fields

	nl := indexByte(head, 0, '\n')
	if nl < 1 {
		return errStatusLine
	}
	minor, err := parseStatusLine(head[:nl-1], r)
	if err != nil {
		return err
	}
	f := frame{hop: hop, isResponse: true}
	r.Fields, err = parseFields(head[nl+1:len(head)-2], lim.Fields, r.Fields, &f)
	if err != nil {
		return err
	}
	r.Close = f.close || (minor == 0 && !f.keepAlive)
	r.hopFields = f.hop
	r.Fields = dropNamed(r.Fields, f.hop)
	return setResponseFraming(r, &f, method, asked, minor)
}

func parseStatusLine(line []byte, r *Response) (minor int, err *Error) {
	if len(line) < 12 || string(line[:7]) != "HTTP/1." || (line[7] != '0' && line[7] != '1') || line[8] != ' ' {
		return 0, errStatusLine
	}
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return 0, errStatusLine
		}
		r.Status = r.Status*10 + int(c-'0')
	}
	if r.Status < 100 || r.Status > 599 || (len(line) > 12 && line[12] != ' ') {
		return 0, errStatusLine
	}
	for _, c := range line[12:] {
		if !message.ValueByte(c) {
			return 0, errStatusLine
		}
	}
	return int(line[7] - '0'), nil
}

// setResponseFraming follows RFC 9112 §6.3.
func setResponseFraming(r *Response, f *frame, method, asked string, minor int) *Error {
	switch {
	case f.chunked && (f.lengths > 0 || minor == 0):
		return errLengthAndTE
	case r.Status == 101 && (asked == "" || minor == 0 || !f.upgrade || !strings.EqualFold(f.upgradeTo, asked)):
		return errUpgraded
	case r.Status == 101 && (f.chunked || f.length > 0):
		return errLength
	case r.Status == 101:
		r.Framing, r.Close = UntilClose, true
	case r.Status < 200 || r.Status == 204:
		if f.chunked || f.length > 0 {
			return errLength // RFC 9110 §8.6: a server must not send it; someone would read on
		}
	case r.Status == 304 || method == "HEAD":
		r.Length = -1
		if f.lengths > 0 {
			r.Length = f.length // what a GET would have given; told, not sent
		}
	case f.chunked:
		r.Framing = Chunked
	case f.lengths > 0:
		r.Framing, r.Length = Length, f.length
	default:
		r.Framing, r.Close = UntilClose, true
	}
	return nil
}
