package http1

import "github.com/meshc/meshc/dataplane/message"

// ParseRequest parses one complete head, as found by HeadEnd, into r. It lower-
// cases field names in place; r's strings alias head. scheme is the downstream
// connection's. r may be reused: its slices are.
func ParseRequest(head []byte, scheme string, lim *Limits, r *Request) error {
	if err := parseRequest(head, scheme, lim, r); err != nil {
		return err
	}
	return nil
}

func parseRequest(head []byte, scheme string, lim *Limits, r *Request) *Error {
	// RFC 9112 §2.2: one empty line before the request line is forgiven.
	if len(head) > 2 && head[0] == '\r' && head[1] == '\n' {
		head = head[2:]
	}
	fields, hop := r.Fields[:0], r.hopFields[:0]
	*r = Request{hopFields: hop}
	r.Fields, r.Scheme = fields, scheme

	nl := indexByte(head, 0, '\n')
	if nl < 1 {
		return errRequestLine
	}
	target, err := parseRequestLine(head[:nl-1], lim, r)
	if err != nil {
		return err
	}
	f := frame{hop: hop}
	r.Fields, err = parseFields(head[nl+1:len(head)-2], lim.Fields, r.Fields, &f)
	if err != nil {
		return err
	}
	if err := setFraming(r, &f); err != nil {
		return err
	}
	return finishRequest(r, &f, target)
}

func parseRequestLine(line []byte, lim *Limits, r *Request) (string, *Error) {
	sp := indexByte(line, 0, ' ')
	if sp <= 0 || sp > 32 {
		return "", errRequestLine
	}
	for _, c := range line[:sp] {
		if !message.MethodByte(c) {
			return "", errMethod
		}
	}
	r.Method = str(line[:sp])
	rest := line[sp+1:]
	sp = indexByte(rest, 0, ' ')
	if sp <= 0 {
		return "", errRequestLine
	}
	if sp > lim.TargetBytes {
		return "", errTargetTooLong
	}
	for _, c := range rest[:sp] {
		if !message.TargetByte(c) {
			return "", errTarget
		}
	}
	switch v := rest[sp+1:]; {
	case string(v) == "HTTP/1.1":
		r.Minor = 1
	case string(v) == "HTTP/1.0":
	case len(v) == 8 && string(v[:5]) == "HTTP/" && v[5] >= '0' && v[5] <= '9' && v[6] == '.' && v[7] >= '0' && v[7] <= '9':
		return "", errVersion
	default:
		return "", errRequestLine
	}
	return str(rest[:sp]), nil
}

func setFraming(r *Request, f *frame) *Error {
	switch {
	case f.chunked && f.lengths > 0:
		return errLengthAndTE
	case f.chunked && r.Minor == 0:
		return errEncoding // RFC 9112 §6.1: HTTP/1.0 with a coding is faulty framing
	case f.chunked:
		r.Framing = Chunked
	case f.length > 0:
		r.Framing, r.Length = Length, f.length
	case f.lengths > 0:
		// "Content-Length: 0" is a body of no bytes; it is sent on as such.
		r.Framing = Length
	}
	return nil
}

func finishRequest(r *Request, f *frame, target string) *Error {
	switch {
	case f.hosts == 0:
		return errNoHost
	case f.hosts > 1:
		return errTwoHosts
	case !message.ValidHost(f.host):
		return errHost
	case r.Method == "CONNECT":
		return errNoConnect
	case r.Method == "TRACE":
		return errNoTrace
	}
	r.Authority = f.host
	r.Close = f.close || (r.Minor == 0 && !f.keepAlive)
	r.Continue = f.expect && r.Minor == 1 && r.Framing != NoBody
	if f.upgrade && r.Minor == 1 { // RFC 9110 §7.8: not of HTTP/1.0
		r.Upgrade = f.upgradeTo
	}
	r.hopFields = f.hop
	r.Fields = dropNamed(r.Fields, f.hop)
	return setTarget(r, target, f.host)
}
