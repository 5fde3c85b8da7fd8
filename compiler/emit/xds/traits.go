package xds

import (
	"sync"

	"github.com/meshc/meshc/compiler/digest"
	"github.com/meshc/meshc/compiler/model"
)

// traits remembers, by service, what of a proxy's own service the resources
// that it shares with others may depend on.
type traits struct {
	mu    sync.Mutex
	known map[model.Ref]digest.Sum
}

// traits gives a digest of all of a workload and its service that resources may
// depend on which are about another service, or about every instance of this
// one. What is listed here is known to be of no influence; everything else
// counts, so that a field that is new to the model counts too.
func (r *Renderer) traits(w *model.Workload) digest.Sum {
	rest := *w
	rest.ID, rest.Version, rest.Service, rest.Ready = "", "", model.Ref{}, false
	rest.Locality = model.Locality{} // the key has it where it counts
	rest.Inbound, rest.App, rest.Outbound = nil, nil, nil
	return digest.Of(r.traitsOf(w.Service), rest)
}

func (r *Renderer) traitsOf(ref model.Ref) digest.Sum {
	r.known.mu.Lock()
	defer r.known.mu.Unlock()
	own, ok := r.known.known[ref]
	if s := r.ix.mesh.Service(ref); !ok && s != nil {
		rest := *s
		rest.Ref, rest.Owner, rest.Host, rest.ServiceAccount, rest.SPIFFEID = model.Ref{}, "", "", "", ""
		rest.Ports, rest.Versions, rest.Uses, rest.Routes = nil, nil, nil, nil
		rest.Compression, rest.Buffer, rest.Admission = nil, nil, nil // of the server's side alone
		rest.MTLS, rest.Allow, rest.Deny, rest.Audit, rest.Origin = "", nil, nil, nil, model.Origin{}
		if len(s.Collectors()) > 0 { // what is sent there names its service
			rest.Ref = s.Ref
		}
		own = digest.Of(rest)
		r.known.known[ref] = own
	}
	return own
}
