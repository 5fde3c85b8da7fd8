package model

import "time"

// Retry of a route. Attempts counts retries, not the first try.
type Retry struct {
	Attempts    uint32
	On          []string      // Envoy's words, sorted; status codes apart
	Statuses    []uint32      // retriable status codes, sorted
	PerTry      time.Duration // 0 = bounded by the route's timeout only
	PerTryIdle  time.Duration // one try without a byte, 0 = no limit of its own
	Methods     []string      // retried only for these; empty = every method
	Backoff     *Backoff      // nil: the data plane's default
	AvoidTried  bool          // go to an endpoint that was not tried
	RateLimited *RateLimited  // nil: servers that ask for a pause are not heeded
	Origin      Origin        // zero: built-in default
}

// Backoff draws the pause before a retry between 0 and a bound that doubles
// from Base to Max.
type Backoff struct{ Base, Max time.Duration }

// RateLimited waits as long as the response header Header asks for, at most
// Max: seconds, or with UnixTime the second since 1970 to wait for.
type RateLimited struct {
	Header   string // lower case
	UnixTime bool
	Max      time.Duration
}

// Defaults of a gateway's timeouts.
const (
	DefaultRequestHeaders = 10 * time.Second
	DefaultGatewayIdle    = time.Hour
)

// GatewayTimeouts are what clients of a gateway are given time for; the zero
// value is the built-in default.
type GatewayTimeouts struct {
	RequestHeaders time.Duration // 0 = no limit
	Idle           time.Duration // connection without a request, 0 = no limit
	MaxConnection  time.Duration // 0 = no limit
	Origin         Origin        // zero: built-in defaults, whatever the fields hold
}

// Written says that the gateway says something itself.
func (t GatewayTimeouts) Written() bool { return !t.Origin.IsZero() }
