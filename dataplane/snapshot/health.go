package snapshot

import "time"

// Health says how endpoints are asked whether they are well: exactly one of HTTP,
// TCP and GRPC.
type Health struct {
	Interval  time.Duration // between a result and the next question
	NoTraffic time.Duration // the same, in clusters that have had no connection
	Timeout   time.Duration
	// In a row: good answers that make an endpoint well again, and failures to
	// answer that make it unwell.
	HealthyAfter, UnhealthyAfter int

	HTTP *HealthHTTP
	TCP  *HealthTCP
	GRPC *HealthGRPC
}

// HealthHTTP is a GET request over HTTP/1.1.
type HealthHTTP struct {
	Host, Path string
	Statuses   []StatusRange // that mean well; none: 200
}

// StatusRange is From to To, without To.
type StatusRange struct{ From, To int }

// HealthTCP is a connection.
type HealthTCP struct {
	Send    []byte
	Receive [][]byte // that the answer must hold, in this order; none: to connect is enough
}

// HealthGRPC is a call of grpc.health.v1.Health.Check.
type HealthGRPC struct {
	Service   string // "" = the server as a whole
	Authority string // "" = the cluster's name
}
