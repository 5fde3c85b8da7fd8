package http1

import (
	"bytes"
	"unsafe"
)

// Tables of RFC 9110 §5.6.2 and RFC 3986, one load per byte.
var (
	lowerToken [256]byte // token characters in lower case, 0 for all others
	valueChar  [256]bool // field-vchar, SP, HTAB and obs-text
	targetChar [256]bool // VCHAR without '#' and '\'
	methodChar [256]bool
	hostChar   [256]bool // reg-name without percent-encoding
)

func init() {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") {
		lowerToken[c] = c
	}
	for c := byte('A'); c <= 'Z'; c++ {
		lowerToken[c] = c + 'a' - 'A'
		methodChar[c] = true
	}
	for _, c := range []byte("0123456789-_") {
		methodChar[c] = true
	}
	for c := 0; c < 256; c++ {
		valueChar[c] = c == '\t' || (c >= 0x20 && c != 0x7f)
		targetChar[c] = c > 0x20 && c < 0x7f && c != '#' && c != '\\'
		alnum := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		hostChar[c] = alnum || c == '-' || c == '.' || c == '_' || c == '~'
	}
}

// str views b as a string without copying: the result lives as long as the
// buffer, which is the contract of message.Field.
func str(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func indexByte(b []byte, from int, c byte) int {
	if i := bytes.IndexByte(b[from:], c); i >= 0 {
		return from + i
	}
	return -1
}

func trimOWS(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// equalFold compares ASCII without regard to case; lower is in lower case.
func equalFold(s, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

func foldEqual(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		x, y := a[i], b[i]
		if x >= 'A' && x <= 'Z' {
			x += 'a' - 'A'
		}
		if y >= 'A' && y <= 'Z' {
			y += 'a' - 'A'
		}
		if x != y {
			return false
		}
	}
	return true
}
