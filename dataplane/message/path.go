package message

import "strings"

// HasEscapedSlash says whether the path holds %2F or %5C, in either case of
// letter: parts of a mesh that decode them see another path than those that
// do not, so a request with one is refused where paths decide access.
func HasEscapedSlash(target string) bool {
	path := target
	if i := strings.IndexAny(target, "?#"); i >= 0 {
		path = target[:i]
	}
	for i := strings.IndexByte(path, '%'); i >= 0 && i+2 < len(path); {
		switch path[i+1 : i+3] {
		case "2F", "2f", "5C", "5c":
			return true
		}
		next := strings.IndexByte(path[i+1:], '%')
		if next < 0 {
			return false
		}
		i += 1 + next
	}
	return false
}

// NormalizePath gives the target with its path in normal form (RFC 3986, 6, as
// Envoy's normalize_path): percent-encoded unreserved characters decoded, what
// no path may hold (RFC 3986, 3.3) percent-encoded, "\" read as "/", and dot
// segments removed. The query is left as it is, and so is "*". It does not allocate for a path that is normal already. ok is false for
// a target that has no path.
func NormalizePath(target string) (normal string, ok bool) {
	if target == "*" {
		return target, true
	}
	if target == "" || target[0] != '/' {
		return "", false
	}
	path, rest := target, ""
	if i := strings.IndexAny(target, "?#"); i >= 0 {
		path, rest = target[:i], target[i:]
	}
	if isNormal(path) {
		return target, true
	}
	return removeDotSegments(recode(path)) + rest, true
}

// isNormal is quick and may say no to a path that is normal.
func isNormal(path string) bool {
	for i := range len(path) {
		switch c := path[i]; {
		case c == '%', c == '\\', foreignChar[c]:
			return false
		case c == '.' && path[i-1] == '/': // path[0] is '/'
			return false
		}
	}
	return true
}

// recode decodes what needs no encoding and encodes what needs it.
func recode(path string) string {
	var b strings.Builder
	b.Grow(len(path))
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '\\':
			b.WriteByte('/')
		case c == '%' && i+2 < len(path):
			hi, lo := unhex(path[i+1]), unhex(path[i+2])
			if d := byte(hi<<4 | lo); hi >= 0 && lo >= 0 && isUnreserved(d) {
				b.WriteByte(d)
				i += 2
				continue
			}
			b.WriteByte(c)
		case foreignChar[c]:
			const digits = "0123456789ABCDEF"
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// removeDotSegments takes a path that begins with '/'. A trailing "." or ".."
// leaves a trailing slash.
func removeDotSegments(path string) string {
	out := make([]byte, 0, len(path))
	for rest := path; rest != ""; {
		end := strings.IndexByte(rest[1:], '/') + 1
		if end == 0 {
			end = len(rest)
		}
		segment := rest[:end] // "/x"
		last := end == len(rest)
		rest = rest[end:]
		switch segment {
		case "/.":
		case "/..":
			out = out[:max(0, strings.LastIndexByte(string(out), '/'))]
		default:
			out = append(out, segment...)
			continue
		}
		if last {
			out = append(out, '/')
		}
	}
	return string(out)
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// isUnreserved: RFC 3986, 2.3.
func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}
