package http2

import (
	"strings"

	"github.com/meshc/meshc/dataplane/message"
)

// Fault is what a well-formed request is refused for: it is answered with
// Status, and the connection lives on.
type Fault struct {
	Status int
	Detail string
}

var (
	faultTooLarge  = &Fault{431, "headers_too_large"}
	faultTooMany   = &Fault{431, "too_many_headers"}
	faultTarget    = &Fault{414, "path_too_long"}
	faultAmbiguous = &Fault{400, "ambiguous_path"}
	faultHost      = &Fault{400, "invalid_host"}
	faultNoHost    = &Fault{400, "missing_host"}
	faultExpect    = &Fault{417, "expectation_failed"}
	faultConnect   = &Fault{501, "connect_not_supported"}
	faultTrace     = &Fault{405, "trace_not_allowed"}
)

// Limits bound a head, counted after decompression.
type Limits struct {
	HeadBytes   int // sum of names, values and 32 for each (RFC 9113 §10.5.1)
	Fields      int
	TargetBytes int
}

type headKind uint8

const (
	requestHead headKind = iota
	responseHead
	trailerHead
)

// Pseudo-header fields, as bits.
const (
	pseudoMethod = 1 << iota
	pseudoScheme
	pseudoPath
	pseudoAuthority
	pseudoStatus
)

// collector takes the fields of one block and judges them (RFC 9113 §8). What is
// malformed is told apart from what is refused.
type collector struct {
	kind      headKind
	lim       *Limits
	fields    []message.Field
	malformed string
	fault     *Fault

	seen                            uint8
	regular                         bool // a field that is no pseudo-header has come
	method, scheme, path, authority string
	host                            string
	hosts                           int
	status                          int
	length                          int64
	lengths                         int
	trailers, expect                bool
	cookie, bytes, count            int    // index of the cookie field plus 1
	jar                             []byte // backs its value once it has crumbs
}

func (c *collector) reset(kind headKind, lim *Limits, fields []message.Field) {
	*c = collector{kind: kind, lim: lim, fields: fields[:0]}
}

func (c *collector) bad(detail string) {
	if c.malformed == "" {
		c.malformed = detail
	}
}

func (c *collector) refuse(f *Fault) {
	if c.fault == nil {
		c.fault = f
	}
}

// field implements fieldSink. After a fault it goes on judging but keeps
// nothing, so that a block costs no more than its own length.
func (c *collector) field(name, value string, neverIndex bool) {
	if c.malformed != "" {
		return
	}
	if c.bytes += len(name) + len(value) + entryOverhead; c.bytes > c.lim.HeadBytes {
		c.refuse(faultTooLarge)
		return
	}
	if name != "" && name[0] == ':' {
		c.pseudo(name, value)
		return
	}
	c.regular = true
	if !validName(name) {
		c.bad("invalid_header_name")
		return
	}
	if !validValue(value) {
		c.bad("invalid_header_value")
		return
	}
	if c.keep(name, value, neverIndex) {
		c.add(name, value, neverIndex)
	}
}

func (c *collector) add(name, value string, neverIndex bool) {
	if c.count++; c.count > c.lim.Fields {
		c.refuse(faultTooMany)
		return
	}
	c.fields = append(c.fields, message.Field{Name: name, Value: value, NeverIndex: neverIndex})
}

func (c *collector) pseudo(name, value string) {
	if c.regular || c.kind == trailerHead {
		c.bad("misplaced_pseudo_header")
		return
	}
	bit := uint8(0)
	switch {
	case c.kind == responseHead:
		if name == ":status" {
			bit = pseudoStatus
			c.status = statusOf(value)
		}
	case name == ":method":
		bit, c.method = pseudoMethod, value
	case name == ":scheme":
		bit, c.scheme = pseudoScheme, value
	case name == ":path":
		bit, c.path = pseudoPath, value
	case name == ":authority":
		bit, c.authority = pseudoAuthority, value
	}
	if bit == 0 || c.seen&bit != 0 {
		c.bad("invalid_pseudo_header")
		return
	}
	c.seen |= bit
}

func statusOf(v string) int {
	if len(v) != 3 || v[0] < '1' || v[0] > '5' || v[1] < '0' || v[1] > '9' || v[2] < '0' || v[2] > '9' {
		return 0
	}
	return int(v[0]-'0')*100 + int(v[1]-'0')*10 + int(v[2]-'0')
}

// keep takes note of what the codec itself must know and says whether the field
// goes on to the other side.
func (c *collector) keep(name, value string, neverIndex bool) bool {
	switch name {
	// RFC 9113 §8.2.2.
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		c.bad("connection_specific_header")
		return false
	case "te":
		if c.kind != requestHead || value != "trailers" {
			c.bad("invalid_te")
		}
		c.trailers = true
		return false
	// As in HTTP/1: hop-by-hop whether anyone says so or not.
	case "proxy-authenticate", "proxy-authorization", "http2-settings":
		return false
	}
	if c.kind == trailerHead {
		// What frames or routes a message has no place behind its body.
		return name != "content-length" && name != "host"
	}
	switch {
	case name == "content-length":
		c.noteLength(value)
		return false
	case c.kind == responseHead:
		return true
	case name == "host":
		c.hosts++
		c.host = value
		return false
	case name == "expect":
		if !strings.EqualFold(value, "100-continue") {
			c.refuse(faultExpect)
		}
		c.expect = true
		return false
	case name == "cookie":
		return !c.joinCookie(value, neverIndex)
	}
	return true
}

// joinCookie puts the crumbs of a cookie together (RFC 9113 §8.2.3), so that
// matchers and HTTP/1.1 see one field.
func (c *collector) joinCookie(crumb string, neverIndex bool) bool {
	if c.cookie == 0 {
		c.cookie = len(c.fields) + 1
		return false
	}
	if c.fault == nil {
		f := &c.fields[c.cookie-1]
		if c.jar == nil {
			c.jar = append(make([]byte, 0, 2*(len(f.Value)+len(crumb))+64), f.Value...)
		}
		c.jar = append(append(c.jar, "; "...), crumb...) // what earlier values alias stays as it is
		f.Value = str(c.jar)
		f.NeverIndex = f.NeverIndex || neverIndex
	}
	return true
}

// noteLength: exactly one field with exactly one number, as in HTTP/1.1.
func (c *collector) noteLength(v string) {
	if c.lengths++; c.lengths > 1 || v == "" || len(v) > 18 {
		c.bad("invalid_content_length")
		return
	}
	for i := range len(v) {
		if v[i] < '0' || v[i] > '9' {
			c.bad("invalid_content_length")
			return
		}
		c.length = c.length*10 + int64(v[i]-'0')
	}
}

// request judges the whole of a request head and fills r. end: the head ends its
// stream.
func (c *collector) request(r *message.Request, end bool) {
	if c.malformed != "" {
		return
	}
	c.pseudoRules()
	switch {
	case c.malformed != "":
		return
	case end && c.length != 0:
		c.bad("content_length_mismatch")
		return
	case c.seen&pseudoAuthority == 0:
		c.authority = c.host
	case c.hosts > 0 && !strings.EqualFold(c.host, c.authority):
		c.bad("authority_does_not_match_host")
		return
	}
	c.policy()
	*r = message.Request{Method: c.method, Authority: c.authority, Target: c.path, Fields: c.fields, TakesTrailers: c.trailers}
}

// pseudoRules: RFC 9113 §8.3.1.
func (c *collector) pseudoRules() {
	if !validMethod(c.method) {
		c.bad("invalid_method")
		return
	}
	if c.method == "CONNECT" {
		if c.seen&(pseudoScheme|pseudoPath) != 0 || c.seen&pseudoAuthority == 0 {
			c.bad("invalid_pseudo_header")
		}
		return
	}
	if c.fault != nil {
		return // the head may be incomplete
	}
	const needed = pseudoMethod | pseudoScheme | pseudoPath
	if c.seen&needed != needed {
		c.bad("missing_pseudo_header")
		return
	}
	if c.scheme != "http" && c.scheme != "https" {
		c.bad("invalid_scheme")
	}
	if !validTarget(c.method, c.path) {
		c.bad("invalid_request_target")
	}
}

// policy is what is refused though it is well-formed: the same as in HTTP/1.1.
func (c *collector) policy() {
	switch {
	case c.method == "CONNECT":
		c.refuse(faultConnect)
	case c.method == "TRACE":
		c.refuse(faultTrace)
	case len(c.path) > c.lim.TargetBytes:
		c.refuse(faultTarget)
	case c.authority == "":
		c.refuse(faultNoHost)
	case c.hosts > 1 || !message.ValidHost(c.authority):
		c.refuse(faultHost)
	case message.AmbiguousPath(pathOf(c.path)):
		c.refuse(faultAmbiguous)
	}
}

func pathOf(target string) string {
	if i := strings.IndexByte(target, '?'); i >= 0 {
		return target[:i]
	}
	return target
}

func validMethod(m string) bool {
	if m == "" || len(m) > 32 {
		return false
	}
	for i := range len(m) {
		if !message.MethodByte(m[i]) {
			return false
		}
	}
	return true
}

func validTarget(method, target string) bool {
	if target == "*" {
		return method == "OPTIONS"
	}
	if target == "" || target[0] != '/' {
		return false
	}
	for i := range len(target) {
		if !message.TargetByte(target[i]) {
			return false
		}
	}
	return true
}

// validName: a token without upper case (RFC 9113 §8.2.1).
func validName(name string) bool {
	for i := range len(name) {
		if c := name[i]; message.TokenByte(c) != c || c == 0 {
			return false
		}
	}
	return name != ""
}

// validValue: no control character, and no white space around it.
func validValue(v string) bool {
	if v == "" {
		return true
	}
	if first, last := v[0], v[len(v)-1]; first == ' ' || first == '\t' || last == ' ' || last == '\t' {
		return false
	}
	for i := range len(v) {
		if !message.ValueByte(v[i]) {
			return false
		}
	}
	return true
}
