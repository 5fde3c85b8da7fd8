package filter

import (
	"context"
	"net"
)

// Dial gives a connection to an endpoint of a cluster that takes requests, with
// TLS where the cluster has it. protocol is what is spoken on it, as ALPN names
// it. Errors name the cluster.
type Dial func(ctx context.Context, cluster, protocol string) (net.Conn, error)

// Background is a filter with something to do beside requests. Run is called once
// when the filter is in force and returns when ctx ends, which is when it no
// longer is. Inherit is called before Run with each filter that a new
// configuration takes out of force, while that still runs: what it knows is not
// lost with it.
type Background interface {
	HTTP
	Run(ctx context.Context, dial Dial)
	Inherit(from Background)
}
