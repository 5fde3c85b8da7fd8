package telemetry

import (
	"cmp"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/snapshot"
)

// DefaultText is Envoy's default access log format.
const DefaultText = `[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% ` +
	`%BYTES_RECEIVED% %BYTES_SENT% %DURATION% - "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"` + "\n"

// Format is a compiled access log format. It is immutable.
type Format struct {
	pieces []piece
	json   bool
	otlp   *otlpFormat // in place of both
}

// piece is a literal, or an operator when value is set.
type piece struct {
	literal string
	value   value
	number  bool // in JSON, without quotes when the operator stands alone
	quoted  bool // stands alone in its JSON string
}

// value appends what an operator stands for; ok is false when there is nothing,
// which is "-" in text and null in JSON.
type value func(dst []byte, r *Record) (out []byte, ok bool)

// Compile compiles the format of a: TextFormat, or JSONFormat, or with neither
// Envoy's default text.
func Compile(a snapshot.AccessLog) (*Format, error) {
	switch {
	case a.OTLP != nil:
		return compileOTLP(a)
	case a.TextFormat != "":
		return CompileText(a.TextFormat)
	case len(a.JSONFormat) > 0:
		return CompileJSON(a.JSONFormat)
	}
	return CompileText(DefaultText)
}

// CompileText compiles a text format in Envoy's command language. An operator
// that is not supported is an error that names it. A record ends where the
// format says so: Envoy adds no line feed, and neither does this.
func CompileText(text string) (*Format, error) {
	pieces, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("access log format: %w", err)
	}
	return &Format{pieces: pieces}, nil
}

// CompileJSON compiles a flat JSON format; keys come out sorted, one object per
// line.
func CompileJSON(fields map[string]string) (*Format, error) {
	keys := make([]string, 0, len(fields))
	for k := range fields {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	f := &Format{json: true}
	for i, k := range keys {
		pieces, err := parse(fields[k])
		if err != nil {
			return nil, fmt.Errorf("access log format: key %q: %w", k, err)
		}
		name, _ := json.Marshal(k) // a string always marshals
		lead := "," + string(name) + ":"
		if i == 0 {
			lead = "{" + lead[1:]
		}
		f.addMember(lead, pieces)
	}
	if len(keys) == 0 {
		f.pieces = append(f.pieces, piece{literal: "{"})
	}
	f.pieces = append(f.pieces, piece{literal: "}\n"})
	return f, nil
}

// addMember: an operator alone keeps its type (number, null); anything else is
// one string.
func (f *Format) addMember(lead string, pieces []piece) {
	f.pieces = append(f.pieces, piece{literal: lead})
	if len(pieces) == 1 && pieces[0].value != nil {
		pieces[0].quoted = true
		f.pieces = append(f.pieces, pieces[0])
		return
	}
	f.pieces = append(f.pieces, piece{literal: `"`})
	for _, p := range pieces {
		if p.value == nil {
			p.literal = string(appendEscaped(nil, p.literal))
		}
		f.pieces = append(f.pieces, p)
	}
	f.pieces = append(f.pieces, piece{literal: `"`})
}

// append writes one record, however it is written; aside is room, and is given back.
func (f *Format) append(dst, aside []byte, r *Record) (out, used []byte) {
	if f.otlp != nil {
		return f.otlp.append(dst, aside, r)
	}
	return f.Append(dst, r), aside
}

// Append writes one record as a line of text or of JSON.
func (f *Format) Append(dst []byte, r *Record) []byte {
	return appendPieces(dst, f.pieces, r)
}

func appendPieces(dst []byte, pieces []piece, r *Record) []byte {
	for i := range pieces {
		p := &pieces[i]
		if p.value == nil {
			dst = append(dst, p.literal...)
			continue
		}
		dst = p.append(dst, r)
	}
	return dst
}

func (p *piece) append(dst []byte, r *Record) []byte {
	start := len(dst)
	if p.quoted && !p.number {
		dst = append(dst, '"')
	}
	out, ok := p.value(dst, r)
	switch {
	case ok && p.quoted && !p.number:
		return append(out, '"')
	case ok:
		return out
	case p.quoted:
		return append(dst[:start], "null"...)
	}
	return append(dst, '-')
}

func parse(text string) ([]piece, error) {
	var pieces []piece
	for text != "" {
		i := strings.IndexByte(text, '%')
		if i < 0 {
			return append(pieces, piece{literal: text}), nil
		}
		if i > 0 {
			pieces = append(pieces, piece{literal: text[:i]})
		}
		text = text[i+1:]
		if strings.HasPrefix(text, "%") {
			pieces = append(pieces, piece{literal: "%"})
			text = text[1:]
			continue
		}
		end := strings.IndexByte(text, '%')
		if end < 0 {
			return nil, fmt.Errorf("operator %q has no closing %%", "%"+text)
		}
		p, err := operator(text[:end])
		if err != nil {
			return nil, err
		}
		pieces = append(pieces, p)
		text = text[end+1:]
	}
	return pieces, nil
}

// operator compiles NAME, NAME(ARG) or NAME(ARG):MAX.
func operator(s string) (piece, error) {
	name, rest, hasArg := strings.Cut(s, "(")
	if !hasArg {
		if p, ok := plain[name]; ok {
			return p, nil
		}
		return piece{}, fmt.Errorf("operator %%%s%% is not supported", s)
	}
	arg, tail, closed := strings.Cut(rest, ")")
	if !closed {
		return piece{}, fmt.Errorf("operator %%%s%%: no closing parenthesis", s)
	}
	limit := 0
	if tail != "" {
		n, err := strconv.Atoi(strings.TrimPrefix(tail, ":"))
		if tail[0] != ':' || err != nil || n <= 0 {
			return piece{}, fmt.Errorf("operator %%%s%%: bad length %q", s, tail)
		}
		limit = n
	}
	switch name {
	case "REQ", "RESP":
		return headerOperator(s, name, arg, limit)
	case "METADATA":
		return metadataOperator(s, arg, limit)
	case "DYNAMIC_METADATA":
		return auditOperator(s, arg, limit)
	}
	return piece{}, fmt.Errorf("operator %%%s%% is not supported", s)
}

// headerOperator is REQ(X?Y):Z: the field X, or else Y, cut to Z bytes.
func headerOperator(op, kind, arg string, limit int) (piece, error) {
	first, second, _ := strings.Cut(strings.ToLower(arg), "?")
	if first == "" {
		return piece{}, fmt.Errorf("operator %%%s%%: no field name", op)
	}
	get := requestField
	if kind == "RESP" {
		get = responseField
	}
	return piece{value: func(dst []byte, r *Record) ([]byte, bool) {
		v, ok := get(r, first)
		if !ok && second != "" {
			v, ok = get(r, second)
		}
		if limit > 0 && len(v) > limit {
			v = v[:limit]
		}
		return appendEscaped(dst, v), ok
	}}, nil
}

// metadataOperator is METADATA(ROUTE:meshc.dev:KEY), the route's own metadata.
func metadataOperator(op, arg string, limit int) (piece, error) {
	key, ok := strings.CutPrefix(arg, "ROUTE:meshc.dev:")
	if !ok || key == "" || strings.Contains(key, ":") {
		return piece{}, fmt.Errorf("operator %%%s%%: only ROUTE:meshc.dev:KEY is supported", op)
	}
	return piece{value: func(dst []byte, r *Record) ([]byte, bool) {
		if r.Route == nil {
			return dst, false
		}
		v, ok := r.Route.Metadata[key]
		if limit > 0 && len(v) > limit {
			v = v[:limit]
		}
		return appendEscaped(dst, v), ok
	}}, nil
}

func requestField(r *Record, name string) (string, bool) {
	if r.Request == nil || r.Request.Method == "" {
		return "", false
	}
	switch name {
	case ":method":
		return r.Request.Method, true
	case ":path":
		return r.Request.Target, true
	case ":authority", "host":
		return r.Request.Authority, true
	case ":scheme":
		return r.Request.Scheme, true
	}
	return message.Get(r.Request.Fields, name)
}

func responseField(r *Record, name string) (string, bool) {
	if r.Response == nil || r.Status == 0 {
		return "", false
	}
	if name == ":status" {
		return strconv.Itoa(r.Status), true
	}
	return message.Get(r.Response.Fields, name)
}

// plain are the operators without argument.
var plain = map[string]piece{
	"START_TIME": {value: func(dst []byte, r *Record) ([]byte, bool) {
		return r.clock.append(dst, r.Start), true
	}},
	"DURATION":       number(func(r *Record) int64 { return int64(r.Duration / time.Millisecond) }),
	"RESPONSE_CODE":  number(func(r *Record) int64 { return int64(r.Status) }),
	"BYTES_RECEIVED": number(func(r *Record) int64 { return r.BytesReceived }),
	"BYTES_SENT":     number(func(r *Record) int64 { return r.BytesSent }),
	"PROTOCOL": {value: func(dst []byte, r *Record) ([]byte, bool) {
		if r.Request == nil || r.Request.Method == "" {
			return dst, false
		}
		return append(dst, r.Protocol.String()...), true
	}},
	"RESPONSE_FLAGS": { // "-" for none, as a value: Envoy gives it in JSON too
		value: func(dst []byte, r *Record) ([]byte, bool) { return append(dst, cmp.Or(r.Flags, "-")...), true },
	},
	"RESPONSE_CODE_DETAILS": text(func(r *Record) string { return r.Details }),
	"UPSTREAM_CLUSTER":      text(func(r *Record) string { return r.UpstreamCluster }),
	"UPSTREAM_HOST":         text(func(r *Record) string { return r.UpstreamHost }),
	"ROUTE_NAME": text(func(r *Record) string {
		if r.Route == nil {
			return ""
		}
		return r.Route.Name
	}),
	"DOWNSTREAM_PEER_URI_SAN":                text(func(r *Record) string { return r.Peer.SPIFFEID }),
	"DOWNSTREAM_REMOTE_ADDRESS":              text(func(r *Record) string { return r.Peer.Remote }),
	"DOWNSTREAM_LOCAL_ADDRESS":               text(func(r *Record) string { return r.Peer.Local }),
	"DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": text(func(r *Record) string { return withoutPort(r.Peer.Remote) }),
}

func withoutPort(addr string) string {
	if i := strings.LastIndexByte(addr, ':'); i >= 0 {
		addr = addr[:i]
	}
	return strings.Trim(addr, "[]")
}

func number(get func(*Record) int64) piece {
	return piece{number: true, value: func(dst []byte, r *Record) ([]byte, bool) {
		return strconv.AppendInt(dst, get(r), 10), true
	}}
}

func text(get func(*Record) string) piece {
	return piece{value: func(dst []byte, r *Record) ([]byte, bool) {
		s := get(r)
		return appendEscaped(dst, s), s != ""
	}}
}
