package http1

import (
	"strings"

	"github.com/meshc/meshc/dataplane/message"
)

var (
	errFieldName   = bad("invalid_header_name")
	errFieldValue  = bad("invalid_header_value")
	errFold        = bad("obsolete_line_folding")
	errLength      = bad("invalid_content_length")
	errTwoLengths  = bad("duplicate_content_length")
	errEncoding    = bad("transfer_encoding_not_supported")
	errLengthAndTE = bad("content_length_and_transfer_encoding")
	errExpect      = &Error{Status: 417, Detail: "expectation_failed"}
)

// frame collects what the fields say about framing and the connection.
type frame struct {
	host       string
	hosts      int
	length     int64
	lengths    int
	chunked    bool
	close      bool
	keepAlive  bool
	upgrade    bool // named in Connection
	upgradeTo  string
	expect     bool
	hop        []string // names listed in Connection
	isResponse bool
}

// parseFields reads field lines up to the end of head (the empty line left
// out), lower-cases names in place, keeps hop-by-hop fields back, and notes what
// they say.
func parseFields(head []byte, max int, fields []message.Field, f *frame) ([]message.Field, *Error) {
	count := 0
	for len(head) > 0 {
		nl := indexByte(head, 0, '\n')
		line := head[:nl-1] // HeadEnd has seen a CR before every LF
		head = head[nl+1:]
		if count++; count > max {
			return fields, errTooManyFields
		}
		name, value, err := parseField(line)
		if err != nil {
			return fields, err
		}
		keep, err := f.note(name, value)
		if err != nil {
			return fields, err
		}
		if keep {
			fields = append(fields, message.Field{Name: name, Value: value})
		}
	}
	return fields, nil
}

func parseField(line []byte) (name, value string, err *Error) {
	if len(line) == 0 {
		return "", "", errFieldName
	}
	if line[0] == ' ' || line[0] == '\t' {
		return "", "", errFold
	}
	i := 0
	for ; i < len(line); i++ {
		c := message.TokenByte(line[i])
		if c == 0 {
			break
		}
		line[i] = c
	}
	if i == 0 || i == len(line) || line[i] != ':' {
		return "", "", errFieldName
	}
	v := trimOWS(line[i+1:])
	for _, c := range v {
		if !message.ValueByte(c) {
			if c == '\r' {
				return "", "", errBareCR
			}
			return "", "", errFieldValue
		}
	}
	return str(line[:i]), str(v), nil
}

// note takes in one field and says whether it is end-to-end.
func (f *frame) note(name, value string) (keep bool, err *Error) {
	switch name {
	case "host":
		if f.isResponse {
			return true, nil
		}
		f.hosts++
		f.host = value
		return false, nil
	case "content-length":
		return false, f.noteLength(value)
	case "transfer-encoding":
		if f.chunked || !equalFold(value, "chunked") {
			return false, errEncoding
		}
		f.chunked = true
		return false, nil
	case "connection":
		f.noteConnection(value)
		return false, nil
	case "upgrade":
		if f.upgradeTo != "" { // a list in several fields is one list
			value = f.upgradeTo + "," + value
		}
		f.upgradeTo = value
		return false, nil
	case "expect":
		if f.isResponse {
			return true, nil
		}
		if !equalFold(value, "100-continue") {
			return false, errExpect
		}
		f.expect = true
		return false, nil
	// RFC 9110 §7.6.1: hop-by-hop whether Connection names them or not. TE goes
	// because trailers are dropped, HTTP2-Settings because h2c is not spoken.
	case "keep-alive", "proxy-connection", "te", "trailer", "http2-settings", "proxy-authenticate", "proxy-authorization":
		return false, nil
	}
	return true, nil
}

// noteLength: exactly one field with exactly one number. RFC 9110 §8.6 allows
// to fold equal repetitions; refusing them costs nobody anything.
func (f *frame) noteLength(v string) *Error {
	if f.lengths++; f.lengths > 1 {
		return errTwoLengths
	}
	if v == "" || len(v) > 18 {
		return errLength
	}
	for i := 0; i < len(v); i++ {
		if v[i] < '0' || v[i] > '9' {
			return errLength
		}
		f.length = f.length*10 + int64(v[i]-'0')
	}
	return nil
}

func (f *frame) noteConnection(v string) {
	for v != "" {
		var option string
		option, v, _ = strings.Cut(v, ",")
		option = strings.Trim(option, " \t")
		switch {
		case option == "":
		case equalFold(option, "close"):
			f.close = true
		case equalFold(option, "keep-alive"):
			f.keepAlive = true
		case equalFold(option, "upgrade"):
			f.upgrade = true
		default:
			f.hop = append(f.hop, option)
		}
	}
}

// dropNamed removes the fields that Connection names (RFC 9110 §7.6.1). Fields
// that carry trust between hops stay: naming them in Connection is how a client
// tries to make a proxy lose them.
func dropNamed(fields []message.Field, hop []string) []message.Field {
	if len(hop) == 0 {
		return fields
	}
	kept := fields[:0]
	for _, f := range fields {
		if !named(f.Name, hop) || protected(f.Name) {
			kept = append(kept, f)
		}
	}
	return kept
}

func named(name string, hop []string) bool {
	for _, h := range hop {
		if equalFold(h, name) {
			return true
		}
	}
	return false
}

func protected(name string) bool {
	return strings.HasPrefix(name, "x-forwarded-") || strings.HasPrefix(name, "x-envoy-") ||
		name == "x-request-id" || name == "forwarded" || name == "authorization" || name == "cookie"
}
