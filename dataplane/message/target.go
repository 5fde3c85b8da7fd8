package message

import "strings"

// AmbiguousPath reports a path that a matcher and a backend could read in two ways:
// dot segments, written out or percent-encoded, also behind an encoded slash or
// with path parameters, encoded NUL and backslash, encoded or not. Refusing them
// here gives routing, authorization and the backend one path.
func AmbiguousPath(path string) bool {
	if strings.IndexByte(path, '.') < 0 && strings.IndexByte(path, '%') < 0 && strings.IndexByte(path, '\\') < 0 {
		return false
	}
	dots, other := 0, false
	for i := 0; i < len(path); i++ {
		c, skip := decoded(path, i)
		if c == 0 || c == '\\' {
			return true
		}
		i += skip
		switch {
		case c == '/':
			if !other && (dots == 1 || dots == 2) {
				return true
			}
			dots, other = 0, false
		case c == '.':
			dots++
		case c == ';' && !other && (dots == 1 || dots == 2):
			return true
		default:
			other = true
		}
	}
	return !other && (dots == 1 || dots == 2)
}

// decoded gives the byte at i, percent-decoded, and how many more bytes it took.
// A broken escape stays '%', which no rule below cares about.
func decoded(s string, i int) (byte, int) {
	if s[i] != '%' || i+2 >= len(s) {
		return s[i], 0
	}
	hi, lo := unhex(s[i+1]), unhex(s[i+2])
	if hi < 0 || lo < 0 {
		return '%', 0
	}
	return byte(hi<<4 | lo), 2
}

// ValidHost accepts reg-name, IPv4 and bracketed IPv6, with an optional port.
// Userinfo, percent-encoding and an empty host are refused.
func ValidHost(h string) bool {
	if h == "" || len(h) > 255 {
		return false
	}
	name, port := h, ""
	if h[0] == '[' {
		end := strings.IndexByte(h, ']')
		if end < 3 {
			return false
		}
		for i := 1; i < end; i++ {
			if unhex(h[i]) < 0 && h[i] != ':' && h[i] != '.' {
				return false
			}
		}
		if end+1 == len(h) {
			return true
		}
		if h[end+1] != ':' {
			return false
		}
		return validPort(h[end+2:])
	}
	if i := strings.IndexByte(h, ':'); i >= 0 {
		name, port = h[:i], h[i+1:]
		if !validPort(port) {
			return false
		}
	}
	for i := 0; i < len(name); i++ {
		if !hostChar[name[i]] {
			return false
		}
	}
	return name != ""
}

func validPort(p string) bool {
	if p == "" || len(p) > 5 {
		return false
	}
	n := 0
	for i := 0; i < len(p); i++ {
		if p[i] < '0' || p[i] > '9' {
			return false
		}
		n = n*10 + int(p[i]-'0')
	}
	return n <= 65535
}
