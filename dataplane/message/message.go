// Package message is an HTTP request or response head as the proxy sees it,
// whatever protocol carried it. A codec fills it, routing and filters read and
// change it, a codec writes it out again.
package message

import "google.golang.org/protobuf/types/known/structpb"

// Field is one header field. Name is in lower case, as every codec makes it.
// Both strings may alias the codec's buffer: they live as long as the exchange
// and are copied by whoever keeps them longer.
type Field struct {
	Name, Value string
	// NeverIndex: the sender wants it kept out of compression tables on every hop
	// (RFC 7541 §6.2.3).
	NeverIndex bool
}

// Request is one request head. Fields hold no hop-by-hop fields and no Host:
// the codec has taken those out.
type Request struct {
	Method    string
	Scheme    string // "http" or "https", by the downstream connection
	Authority string // Host or :authority, as sent
	Target    string // path and query as sent: "/a/b?x=1", or "*"
	Fields    []Field
	// TakesTrailers: the client, and every hop so far, takes the trailers of the
	// response ("te: trailers").
	TakesTrailers bool
	// Metadata is what filters have found out about the request, by filter: Envoy's
	// dynamic metadata. A request begins with none.
	Metadata map[string]*structpb.Struct
}

// Path is the target up to, not including, the first '?'.
func (r *Request) Path() string {
	for i := 0; i < len(r.Target); i++ {
		if r.Target[i] == '?' {
			return r.Target[:i]
		}
	}
	return r.Target
}

// RawQuery is the target after the first '?', or "".
func (r *Request) RawQuery() string {
	for i := 0; i < len(r.Target); i++ {
		if r.Target[i] == '?' {
			return r.Target[i+1:]
		}
	}
	return ""
}

// Response is one response head, with hop-by-hop fields taken out.
type Response struct {
	Status int
	Fields []Field
}

// Get gives the first value of the field called name (lower case).
func Get(fields []Field, name string) (string, bool) {
	for i := range fields {
		if fields[i].Name == name {
			return fields[i].Value, true
		}
	}
	return "", false
}
