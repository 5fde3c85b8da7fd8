package check

import (
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
)

// protocols refuses retries that no call of gRPC would get. Every call is a
// POST, which a proxy and grpc-go (gRFC A28, A44) try again only when the route
// says so.
func (c *overIntent) protocols() {
	for _, s := range c.in.services {
		for _, r := range s.Routes {
			if onlyGRPC(s, r) {
				c.retriesPOST(r)
			}
		}
	}
}

// onlyGRPC: every port that the route is for is a grpc port.
func onlyGRPC(s *intent.Service, r *intent.Route) bool {
	found := false
	for _, p := range s.Ports {
		if r.Port != nil && p.Name.V != r.Port.V {
			continue
		}
		switch p.Protocol.V {
		case string(model.GRPC):
			found = true
		case string(model.HTTP):
			return false
		}
	}
	return found
}

func (c *overIntent) retriesPOST(r *intent.Route) {
	if r.Retries == nil || r.Retries.Attempts.V == 0 {
		return
	}
	if !slices.ContainsFunc(r.Retries.Methods, func(m intent.Value[string]) bool { return m.V == "POST" }) {
		c.report(diag.GRPCNotRetried, r.Retries.At, "route %q is for grpc: every RPC is a POST, which `methods` leaves out, so none is tried again", r.Name.V).
			Help = "write `methods: [\"POST\"]` if every RPC may be carried out twice"
	}
}
