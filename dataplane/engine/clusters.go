package engine

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/meshc/meshc/dataplane/cluster"
	"github.com/meshc/meshc/dataplane/snapshot"
)

// ClusterStatus is a cluster in force, for people.
type ClusterStatus struct {
	*snapshot.Cluster
	Known map[netip.AddrPort]cluster.HostStatus // what is known of endpoints, where somebody looks
}

// Clusters are those of the configuration in force, by name.
func (e *Engine) Clusters() []ClusterStatus {
	e.mu.Lock()
	current := e.current
	e.mu.Unlock()
	out := make([]ClusterStatus, 0, len(current.config.Clusters))
	for _, c := range current.config.Clusters {
		one := ClusterStatus{Cluster: c, Known: map[netip.AddrPort]cluster.HostStatus{}}
		for _, h := range current.states[poolKey{c.Name, c.Digest}].Hosts() {
			one.Known[h.Addr] = h
		}
		out = append(out, one)
	}
	slices.SortFunc(out, func(a, b ClusterStatus) int { return strings.Compare(a.Name, b.Name) })
	return out
}
