package telemetry

import "unicode/utf8"

const hexDigits = "0123456789abcdef"

// appendEscaped writes s so that it can neither end a record nor a quoted
// string, in text and in JSON alike: control characters, quotes, backslashes and
// bytes that are not UTF-8 become \u00XX.
func appendEscaped(dst []byte, s string) []byte {
	for i := range len(s) {
		if !asItIs[s[i]] {
			return appendEscapedFrom(dst, s, i)
		}
	}
	return append(dst, s...)
}

// asItIs are the bytes that are characters by themselves and harmless: nearly all
// that there are.
var asItIs = func() (out [256]bool) {
	for c := range out {
		out[c] = c >= 0x20 && c < 0x7f && c != '"' && c != '\\'
	}
	return out
}()

// appendEscapedFrom is appendEscaped where nothing is to be escaped before i.
func appendEscapedFrom(dst []byte, s string, i int) []byte {
	clean := 0
	for i < len(s) {
		c := s[i]
		if c < utf8.RuneSelf {
			if asItIs[c] {
				i++
				continue
			}
			dst = appendUnicode(append(dst, s[clean:i]...), c)
			i++
			clean = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1: // not UTF-8
			dst = appendUnicode(append(dst, s[clean:i]...), c)
			i++
			clean = i
		case r < 0xa0: // C1 controls
			dst = appendUnicode(append(dst, s[clean:i]...), byte(r))
			i += size
			clean = i
		case r == 0x2028 || r == 0x2029: // line separators
			dst = append(append(dst, s[clean:i]...), `\u202`...)
			dst = append(dst, hexDigits[r&0xf])
			i += size
			clean = i
		default:
			i += size
		}
	}
	return append(dst, s[clean:]...)
}

func appendUnicode(dst []byte, c byte) []byte {
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
}
