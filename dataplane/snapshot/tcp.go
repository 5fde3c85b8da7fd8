package snapshot

import (
	"time"

	"github.com/meshc/meshc/dataplane/filter"
)

// TCP is a TCP proxy, and what judges its connections before it. A connection
// reaches a cluster once its handshake is done and no guard has refused it.
type TCP struct {
	StatPrefix  string
	Direction   string           // "inbound", "outbound" or ""
	Guards      []filter.Network // in order
	Clusters    []WeightedTCP    // at least one
	Total       uint64           // of the weights, above 0
	IdleTimeout time.Duration    // without a byte in either direction; 0 = 1 h, below 0 = none
	AccessLogs  []AccessLog
}

// WeightedTCP is a cluster and its share of the connections.
type WeightedTCP struct {
	Name   string
	Weight uint32
}

// Pick gives the cluster for one draw.
func (t *TCP) Pick(draw uint64) string {
	at := draw % t.Total
	for i := range t.Clusters {
		w := uint64(t.Clusters[i].Weight)
		if at < w {
			return t.Clusters[i].Name
		}
		at -= w
	}
	return ""
}
