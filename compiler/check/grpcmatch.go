package check

import (
	"regexp"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// Names of a protobuf service, with its package, and of a method.
var (
	grpcService = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$`)
	grpcMethod  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// grpcConditions checks `grpc` in the matches of a route.
func (c *overIntent) grpcConditions(r *intent.Route, ports []*intent.Port) {
	for _, m := range r.Match {
		c.grpcCondition(r.Name, m, ports)
	}
}

func (c *overIntent) grpcCondition(route intent.Value[string], m *intent.Match, ports []*intent.Port) {
	g := m.GRPC
	if g == nil {
		return
	}
	if m.Path != nil {
		d := c.report(diag.NotExactlyOne, g.At, "route %q: `grpc` and `path` both say the path", route.V)
		d.Help = "write one of them"
		relateArms(d, m.Path.At)
	}
	c.grpcNames(g)
	for _, p := range ports {
		if p.Protocol.V != string(model.GRPC) {
			c.report(diag.GRPCMatchElsewhere, g.At, "route %q: port %q is %s", route.V, p.Name.V, p.Protocol.V).Help = "use `path`, or `port` with a grpc port"
			return
		}
	}
}

// grpcNames reports what no service or method can be called.
func (c *overIntent) grpcNames(g *intent.GRPCMatch) {
	if !grpcService.MatchString(g.Service.V) {
		c.report(diag.BadPath, g.Service.At, "%q is not the full name of a gRPC service", g.Service.V).Help = "it is the package, a dot and the service: \"shop.v1.Cart\""
	}
	if g.Method != nil && !grpcMethod.MatchString(g.Method.V) {
		c.report(diag.BadPath, g.Method.At, "%q is not the name of a gRPC method", g.Method.V)
	}
}

// routePorts are the ports that a route is on.
func routePorts(s *intent.Service, r *intent.Route) []*intent.Port {
	if r.Port == nil {
		return s.Ports
	}
	if p := scope.Port(s.Ports, r.Port.V); p != nil {
		return []*intent.Port{p}
	}
	return nil
}
