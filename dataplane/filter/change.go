package filter

import (
	"strings"

	"github.com/meshc/meshc/dataplane/message"
)

// AnsweredField is a header field that a service has answered with, for a request
// or a response: its name in lower case, and whether a proxy takes it. Nobody but
// the proxy says what the framing of a message is, what it was asked for, which
// has been judged already, or who the client is.
func AnsweredField(name, value string) (f message.Field, ok bool) {
	lower := []byte(name)
	for i, c := range lower {
		if lower[i] = message.TokenByte(c); lower[i] == 0 {
			return f, false
		}
	}
	for i := range len(value) {
		if !message.ValueByte(value[i]) {
			return f, false
		}
	}
	f = message.Field{Name: string(lower), Value: value}
	return f, len(lower) > 0 && !reserved[f.Name]
}

var reserved = map[string]bool{
	"connection": true, "content-length": true, "host": true, "keep-alive": true, "proxy-connection": true, "te": true,
	"trailer": true, "transfer-encoding": true, "upgrade": true, "x-forwarded-client-cert": true,
}

// Reserved says of a name, in any case, that a service must not take the field away.
func Reserved(name string) bool {
	return strings.HasPrefix(name, ":") || reserved[strings.ToLower(name)]
}

// Text is s as protobuf takes it: whatever is not UTF-8 becomes "!", as in Envoy.
func Text(s string) string {
	clean := strings.ToValidUTF8(s, "")
	if len(clean) == len(s) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		if r == '\uFFFD' && !strings.HasPrefix(s[i:], "\uFFFD") {
			b.WriteByte('!')
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
