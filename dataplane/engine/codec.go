package engine

import (
	"net/netip"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/message"
)

// The two interfaces here are the seam between protocols. A stream is one
// request and its response and knows no protocol; downstream carries it on the
// client's side, upstream on the server's. HTTP/1.1 has one stream per
// connection at a time (dconn, uconn), HTTP/2 has many (dstream, ustream). A TCP
// proxy would sit beside stream, on sock alone.

// downstream is what a stream asks of the client's side of its exchange.
type downstream interface {
	// readBody gives the next piece of the request body, at most max bytes; end
	// is true with or after its last. The piece lives until the next call.
	readBody(max int) (piece []byte, end bool, st ioState)
	// bodyDone says that readBody has nothing more to give.
	bodyDone() bool
	// bodyFault is what is wrong with the body when readBody has failed by the
	// client's fault, or nil: the client has gone.
	bodyFault() *fault
	// trailers of the request, once its body is done.
	trailers() []message.Field
	// sendContinue lets the client send its body.
	sendContinue()
	// sendHead starts the response. framing and length are what the upstream
	// said; the codec chooses its own. end: nothing follows but sendEnd(nil).
	sendHead(r *message.Response, framing message.Framing, length int64, end bool)
	// takesBody says, after sendHead, whether the response may have a body.
	takesBody() bool
	// sendBody takes at most room bytes; last: only sendEnd(nil) follows.
	sendBody(piece []byte, last bool) ioState
	sendEnd(trailers []message.Field)
	// room is how many bytes of body sendBody takes now; after 0, the stream is
	// run when there is room.
	room() int
	flush() ioState

	// gone says that the client has ended its side of the connection.
	gone() bool
	// drop ends what is left of a client that is gone; it cancels the stream.
	drop()
	// cut breaks the response off so that the client cannot take it for whole,
	// and cancels the stream.
	cut()
	// leaveBody: the rest of the request will not be read.
	leaveBody()
	// closeAfter ends the connection when this response is sent.
	closeAfter()
	// endExchange is the stream's last call.
	endExchange()

	setTimer(at int64)
	// run goes on with the stream; again does so later in this turn of the loop.
	run()
	again()
}

// fault is what is wrong with a request, for its answer.
type fault struct {
	status  int
	details string
}

// peerInfo is what is known of the client of a connection.
type peerInfo struct {
	remote   netip.AddrPort
	peer     filter.Peer
	xfcc     string          // the connection's x-forwarded-client-cert element
	told     map[*host]*host // that are for this client alone, by whole
	toldMost int             // how many there are before it is looked which are over
}

// requestHead is a request as its codec hands it to a stream.
type requestHead struct {
	*message.Request
	framing  message.Framing
	length   int64 // when framing is Length
	protocol message.Protocol
	expect   bool   // the client waits for 100 Continue
	upgrade  string // what the client asks to upgrade to, "" if nothing
}

// said is the length of the body as the head says it, -1 where it does not.
func (h *requestHead) said() int64 {
	if h.framing == message.Length {
		return h.length
	}
	return -1
}

// upstream is what a stream asks of the server's side.
type upstream interface {
	sendHead(r *message.Request, framing message.Framing, length int64)
	// sendBody takes at most room bytes; last: only sendEnd(nil) follows.
	sendBody(piece []byte, last bool) ioState
	sendEnd(trailers []message.Field)
	room() int
	flush() ioState
	// readHead gives the response head, interim ones left out.
	readHead() (*responseHead, ioState)
	readBody(max int) (piece []byte, end bool, st ioState)
	// trailers of the response, once its body is done.
	trailers() []message.Field

	state() *attempt
	// failure says how a read that did not go on has ended.
	failure() failure
	// detach is the stream's last call; keep says that the exchange is complete.
	detach(keep bool)
}

// responseHead is a response as its codec hands it to a stream.
type responseHead struct {
	message.Response
	framing message.Framing
	length  int64
}

// attempt is how far one try on an upstream connection has come.
type attempt struct {
	sentHead bool
	reused   bool // the connection has carried an earlier stream
	answered bool // a byte of this response has come
	broken   bool // writing failed; there may be an answer to read
	bodyEnd  bool // the response is complete
	// multiplexed: the connection may say that it has not acted on the request.
	multiplexed bool
}

func (a *attempt) state() *attempt { return a }
