package reconciler

import (
	"github.com/meshc/meshc/reconciler/push/xds"
	"github.com/meshc/meshc/reconciler/status"
)

// Replicas knows what the other replicas of the controller say of the proxies that are
// connected to them; cluster.Replicas is one. Live gives those that said something of
// late. Changed gives a channel that is closed when they, or what is connected to this
// one, change next.
type Replicas interface {
	Live() []*status.Replica
	Changed() <-chan struct{}
}

// Tell is what a replica says of the proxies that are connected to its ADS server; nil
// while that answers nobody. whole says whether there was room for all.
func Tell(server *xds.Server) (r *status.Replica, whole bool) {
	commit := server.Commit()
	if commit == "" {
		return nil, true
	}
	r, whole = &status.Replica{Commit: commit}, true
	for _, n := range server.Status() {
		if n.Connected() {
			whole = r.Connect(describe(&n, commit), n.ProgrammedOn(commit)) && whole
		}
	}
	return r, whole
}
