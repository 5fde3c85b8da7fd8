package check

import (
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// protocols refuses a grpc port where nothing carries it. Proxies of this
// version carry http; grpc ports are reached by applications that read xDS
// themselves, and those have no sidecar. Emission would refuse the whole
// commit, or leave the port out.
func (c *overIntent) protocols() {
	for _, s := range c.mesh.Services {
		c.oneKind(s)
		c.usesOfKind(s)
		if kind(s) == model.GRPC {
			c.withoutProxy(s)
		}
	}
	for _, e := range c.mesh.Externals {
		if p := portOf(e.Ports, model.GRPC); p != nil {
			c.report(diag.GRPCNotCarried, p.Protocol.At, "external %q: proxies of this version reach externals by http only", e.Name.V)
		}
	}
	for _, g := range c.mesh.Gateways {
		for _, r := range g.Routes {
			c.backendKind(g, r)
		}
	}
}

func portOf(ports []*intent.Port, kind model.Protocol) *intent.Port {
	for _, p := range ports {
		if p.Protocol.V == string(kind) {
			return p
		}
	}
	return nil
}

// kind of a service's ports; "" while it has none, and where oneKind reports.
func kind(s *intent.Service) model.Protocol {
	http, grpc := portOf(s.Ports, model.HTTP), portOf(s.Ports, model.GRPC)
	switch {
	case http != nil && grpc == nil:
		return model.HTTP
	case grpc != nil && http == nil:
		return model.GRPC
	}
	return ""
}

func (c *overIntent) oneKind(s *intent.Service) {
	http, grpc := portOf(s.Ports, model.HTTP), portOf(s.Ports, model.GRPC)
	if http == nil || grpc == nil {
		return
	}
	d := c.report(diag.GRPCNotCarried, grpc.Protocol.At, "service %q has http ports and grpc ports: a sidecar of this version carries http only, and an application without one grpc only", s.Name.V)
	d.Help = "make two services of them"
	d.Related = []diag.Related{{Range: http.Protocol.At, Message: "the http port"}}
}

// usesOfKind holds what a service uses to its own kind, or, while it has no
// ports, to the kind of what it uses first.
func (c *overIntent) usesOfKind(s *intent.Service) {
	own := kind(s)
	if len(s.Ports) > 0 && own == "" {
		return
	}
	for _, u := range s.Uses {
		ref := literal.Ref(u.Ref.V, scope.ServiceRef(s).Namespace)
		var used model.Protocol
		if to := c.scope.Service(ref); to != nil {
			used = kind(to)
		} else if c.scope.External(ref) != nil {
			used = model.HTTP
		}
		switch {
		case used == "" || used == own:
		case own == "":
			own = used
		case own == model.HTTP:
			c.report(diag.GRPCNotCarried, u.Ref.At, "service %q has a sidecar, which carries http only, and uses %q, whose ports are grpc", s.Name.V, u.Ref.V).
				Help = "let a service of its own, with grpc ports or none, use it"
		default:
			c.report(diag.GRPCNotCarried, u.Ref.At, "service %q reads xDS itself, which reaches grpc ports only, and uses %q, whose ports are http", s.Name.V, u.Ref.V).
				Help = "let a service of its own, with http ports or none, use it"
		}
	}
}

// withoutProxy refuses what only proxies do: the application at either end of a
// grpc port would not know of it.
func (c *overIntent) withoutProxy(s *intent.Service) {
	for _, r := range s.Routes {
		c.clientSide(r)
	}
}

// clientSide refuses what grpc-go does not do with a route (gRFC A28, A44).
func (c *overIntent) clientSide(r *intent.Route) {
	if r.Retries == nil || r.Retries.Attempts.V == 0 {
		return
	}
	if !slices.ContainsFunc(r.Retries.Methods, func(m intent.Value[string]) bool { return m.V == "POST" }) {
		c.report(diag.GRPCNotCarried, r.Retries.At, "route %q is for grpc: every RPC is a POST, which `methods` leaves out, so none is tried again", r.Name.V).
			Help = "write `methods: [\"POST\"]` if every RPC may be carried out twice"
	}
}

func (c *overIntent) backendKind(g *intent.Gateway, r *intent.GatewayRoute) {
	to := c.scope.Backend(g, r)
	if to == nil {
		return
	}
	p := scope.BackendPort(to, r)
	if p == nil || p.Protocol.V != string(model.GRPC) {
		return
	}
	at := r.To.At
	if r.Port != nil {
		at = r.Port.At
	}
	c.report(diag.GRPCNotCarried, at, "gateway route %q goes to a grpc port of service %q: gateways of this version carry http only", r.Name.V, to.Name.V)
}
