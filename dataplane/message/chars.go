package message

// Tables of RFC 9110 §5.6.2 and RFC 3986, one load per byte.
var (
	lowerToken [256]byte // token characters in lower case, 0 for all others
	valueChar  [256]bool // field-vchar, SP, HTAB and obs-text
	targetChar [256]bool // VCHAR without '#'
	methodChar [256]bool
	// What stands neither in a path nor in an escape (RFC 3986, 3.3), of what is
	// printable. Envoy leaves "[" and "]" as they are.
	foreignChar [256]bool
	hostChar    [256]bool // reg-name without percent-encoding
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
	for _, c := range []byte("\"<>^`{|}") {
		foreignChar[c] = true
	}
	for c := 0; c < 256; c++ {
		valueChar[c] = c == '\t' || (c >= 0x20 && c != 0x7f)
		targetChar[c] = c > 0x20 && c < 0x7f && c != '#'
		alnum := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		hostChar[c] = alnum || c == '-' || c == '.' || c == '_' || c == '~'
	}
}

// TokenByte is c in lower case if it may stand in a token, else 0.
func TokenByte(c byte) byte { return lowerToken[c] }

// ValueByte: field-vchar, SP, HTAB and obs-text.
func ValueByte(c byte) bool { return valueChar[c] }

// TargetByte: VCHAR without '#'. A path with '\' is an AmbiguousPath; in queries
// browsers send it (WHATWG URL, query percent-encode set).
func TargetByte(c byte) bool { return targetChar[c] }

// MethodByte: upper case, digits, '-' and '_'. Standard methods are all in upper
// case, and one in lower case is a mistake or a trick.
func MethodByte(c byte) bool { return methodChar[c] }
