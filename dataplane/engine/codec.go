package engine

import (
	"github.com/meshc/meshc/dataplane/http1"
	"github.com/meshc/meshc/dataplane/message"
)

// The two interfaces here are the seam for other protocols. A stream is one
// request and its response and knows no protocol; downstream carries it on the
// client's side, upstream on the server's. HTTP/1.1 has one stream per
// connection at a time (dconn, uconn); HTTP/2 will have many behind the same
// calls. A TCP proxy would sit beside stream, on sock alone.

// downstream is what a stream asks of the client's connection.
type downstream interface {
	// readBody gives the next piece of the request body, at most max bytes; end
	// is true with or after its last. The piece lives until the next call.
	readBody(max int) (piece []byte, end bool, st ioState)
	// sendContinue lets the client send its body.
	sendContinue()
	// sendHead starts the response. framing and length are what the upstream
	// said; the codec chooses its own.
	sendHead(r *message.Response, framing http1.Framing, length int64)
	sendBody(piece []byte) ioState
	sendEnd()
	// room is how many bytes of body sendBody takes now.
	room() int
	flush() ioState
}

// upstream is what a stream asks of the server's connection.
type upstream interface {
	sendHead(r *message.Request, framing http1.Framing, length int64)
	sendBody(piece []byte) ioState
	sendEnd()
	room() int
	flush() ioState
	// readHead gives the next response head, interim ones left out.
	readHead() (*http1.Response, ioState)
	readBody(max int) (piece []byte, end bool, st ioState)
}
