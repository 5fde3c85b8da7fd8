package xds

import (
	"encoding/json"
	"fmt"
	"sync"

	"github.com/meshc/meshc/compiler/model"
)

// traits remembers, by service, what of a proxy's own service the resources
// that it shares with others may depend on.
type traits struct {
	mu    sync.Mutex
	known map[model.Ref]string
}

// traits gives all of a workload and its service that resources may depend on
// which are about another service, or about every instance of this one. What is
// listed here is known to be of no influence; everything else counts, so that a
// field that is new to the model counts too.
func (r *Renderer) traits(w *model.Workload) (string, error) {
	own, err := r.traitsOf(w.Service)
	if err != nil {
		return "", err
	}
	rest := *w
	rest.ID, rest.Version, rest.Service, rest.Ready = "", "", model.Ref{}, false
	rest.Locality = model.Locality{} // the key has it where it counts
	rest.Inbound, rest.App, rest.Outbound = nil, nil, nil
	raw, err := json.Marshal(rest)
	if err != nil {
		return "", fmt.Errorf("workload %s: %w", w.NodeID(), err)
	}
	return own + string(raw), nil
}

func (r *Renderer) traitsOf(ref model.Ref) (string, error) {
	r.known.mu.Lock()
	defer r.known.mu.Unlock()
	if own, ok := r.known.known[ref]; ok {
		return own, nil
	}
	own := ""
	if s := r.ix.mesh.Service(ref); s != nil {
		rest := *s
		rest.Ref, rest.Owner, rest.Host, rest.ServiceAccount, rest.SPIFFEID = model.Ref{}, "", "", "", ""
		rest.Ports, rest.Versions, rest.Uses, rest.Routes = nil, nil, nil, nil
		rest.MTLS, rest.Allow, rest.Deny, rest.Origin = "", nil, nil, model.Origin{}
		raw, err := json.Marshal(rest)
		if err != nil {
			return "", fmt.Errorf("service %s: %w", ref, err)
		}
		own = string(raw)
	}
	r.known.known[ref] = own
	return own, nil
}
