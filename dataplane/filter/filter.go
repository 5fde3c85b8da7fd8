// Package filter is the contract between the engine and the HTTP filters that
// judge a request before it is forwarded. One filter kind, one subpackage.
package filter

import (
	"time"

	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/route"
)

// Peer is what is known of the other side of the downstream connection.
type Peer struct {
	TLS      bool
	SPIFFEID string // URI SAN of the verified client certificate, or ""
	Remote   string // "ip:port" of the client, as far as who passes it on is believed
	Local    string // "ip:port"
	Direct   string // "ip:port" of the other end of the connection, where that is not Remote
	Identity string // the proxy's own SPIFFE ID, where TLS has shown it
}

// Stream is one request on its way through the filters. Route is nil when no
// route matched. Random is one value per stream, shared by every draw that
// Envoy makes from its stream id; Draw gives a fresh, independent value. Set is
// what the response, whoever gives it, has in place of its own fields of these
// names.
type Stream struct {
	Request *message.Request
	Route   *route.Entry
	// Settled is the route that the request had when it came, which says which filters
	// it meets: one that is chosen anew brings none and takes none away, as in Envoy,
	// where the chain is made once. So no request talks itself out of a filter.
	Settled *route.Entry
	Peer    Peer
	Random  uint64
	Draw    func() uint64
	Set     []message.Field
	// Accepts says which encodings the client takes, as it came, where a filter has
	// looked.
	Accepts string
	// Add is what the response has beside its own fields.
	Add []message.Field
	// Change is what is done to the response behind that; nil: nothing.
	Change *route.HeaderMutations

	// Pace is how many bytes per second of a response's body the client gets, where
	// an upstream gives it; 0: as many as it takes.
	Pace int
	// Over is called when the stream is over, if a filter sets it.
	Over func()

	// Audited is set by filters, and tells the access log about it: the policy of
	// shadow rules that holds, "" for none.
	Audited string
	// Asked is set by filters where a request is one of those that a service is
	// asked about.
	Asked bool
	// Sampling is the record of the chain's Sampler.
	Sampling Sampling
	// Counts has a part of each of the counters of the filter that is asked; empty:
	// nobody counts.
	Counts []Counter
	// Protocol carried the request, and Length is that of its body as its head says
	// it; below 0: it does not.
	Protocol message.Protocol
	Length   int64
}

// Verdict is what a filter says: wait Delay, then go on (Status 0) or answer
// with a local reply. With Ask, nothing is said until the question is answered. Flag is Envoy's response flag ("DI", "FI", "UAEX", …),
// Details its response code details. A Bare reply is not changed by what its route
// says about responses.
type Verdict struct {
	Delay     time.Duration
	Until     *Event // ask the filter again once it has happened
	Reroute   bool   // choose the route anew: the filter has changed the request
	Ask       Question
	Hold      int // read all of the body before going on; one of more bytes is answered 413
	DelayFlag string
	Status    int
	GRPC      int // the grpc-status of the reply to a gRPC request; 0: what Status says
	Body      string
	Flag      string
	Details   string
	// Tally are the counters of the cluster that the request goes to, by Envoy's
	// names, that count what the filter says.
	Tally      []string
	Bare       bool
	Connection string // "close" to end the downstream connection after the reply
}

// Connection is one connection of bytes on its way through the filters.
type Connection struct {
	Peer Peer

	// Audited is Stream.Audited, of the connection.
	Audited string
}

// Network judges connections before anything is done for them. OnConnection runs
// on the event loop once the peer is known; it gives why the connection is
// refused, "" to go on. One Network value serves many connections concurrently.
type Network interface {
	OnConnection(*Connection) (refusal string)
}

// HTTP judges request heads. OnRequest runs on the event loop: it must not
// block, keep the Stream, or be called by two goroutines at once for the same
// Stream; one HTTP value serves many connections concurrently.
type HTTP interface {
	Name() string
	OnRequest(*Stream) Verdict
}
