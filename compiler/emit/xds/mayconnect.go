package xds

import (
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/meshc/meshc/compiler/model"
)

// nobody is a name that no certificate bears.
const nobody = "spiffe://"

// mayConnect are the identities that some rule lets in on a port of bytes; the
// handshake takes no others. The network RBAC filter decides with the first byte
// of the client, which comes too late where the server speaks first: who is
// refused there would have read its greeting.
func (e *emitter) mayConnect(allow []model.Rule, port uint16) []*matcherv3.StringMatcher {
	var out []*matcherv3.StringMatcher
	seen := map[string]bool{}
	add := func(m *matcherv3.StringMatcher) {
		if key := m.String(); !seen[key] {
			seen[key] = true
			out = append(out, m)
		}
	}
	for i := range allow {
		r := &allow[i]
		switch {
		case !r.On(port):
		case r.Any || r.Authenticated && len(r.Namespaces) == 0:
			return nil
		case len(r.Namespaces) > 0 && r.Authenticated:
			for _, ns := range r.Namespaces {
				for _, prefix := range model.Aliased(model.NamespaceID(e.mesh.TrustDomain, ns), r.Aliases) {
					add(startsWith(prefix))
				}
			}
		default:
			for _, id := range r.Principals {
				for _, one := range model.Aliased(id, r.Aliases) {
					add(exactly(one))
				}
			}
		}
	}
	if len(out) == 0 {
		add(exactly(nobody))
	}
	return out
}
