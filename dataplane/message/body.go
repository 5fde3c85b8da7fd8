package message

// Framing says how the body behind a head ends, as far as the head tells.
type Framing uint8

// Framings. HTTP/2 knows three of them: a head that ends its stream is NoBody,
// one with a content-length is Length, any other is Chunked.
const (
	NoBody Framing = iota
	Length
	Chunked    // by its own delimiters, at a length not known before
	UntilClose // HTTP/1 responses only
)

// Protocol is the version of HTTP that carried a request.
type Protocol uint8

// Protocols.
const (
	HTTP11 Protocol = iota
	HTTP10
	HTTP2
)

var protocolNames = [...]string{HTTP11: "HTTP/1.1", HTTP10: "HTTP/1.0", HTTP2: "HTTP/2"}

// String is the name that Envoy's %PROTOCOL% prints.
func (p Protocol) String() string { return protocolNames[p] }
