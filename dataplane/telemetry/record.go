package telemetry

import (
	"time"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/route"
)

// Record is one finished request, as the access log sees it. Its strings may
// alias connection buffers: a Format copies what it prints.
type Record struct {
	Start           time.Time
	Duration        time.Duration
	Request         *message.Request
	Response        *message.Response
	Status          int // 0: no response was begun
	Flags, Details  string
	BytesReceived   int64 // of bodies
	BytesSent       int64
	Peer            *filter.Peer
	Protocol        message.Protocol
	Route           *route.Entry
	UpstreamCluster string
	UpstreamHost    string
	Opaque          bool   // a connection of bytes: Request, Response and Route are nil
	Audited         string // the policy of shadow rules that holds; "" for none

	clock *clock // of who writes it; nil: nobody's
}
