package check

import (
	"regexp"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

func (c *overIntent) gateways() {
	for _, g := range c.in.gateways {
		for _, l := range g.Listeners {
			c.hostPatterns(l.Hosts)
		}
		var names []string
		for _, r := range g.Routes {
			names = append(names, r.Name.V)
		}
		for _, r := range g.Routes {
			c.orderNames(r.Before, names)
			c.orderNames(r.After, names)
			c.gatewayAction(g, r)
			if listeners := c.listenersOf(g, r); c.hostPatterns(r.Hosts) && len(listeners) > 0 {
				c.hostsOnListeners(r, listeners)
			}
		}
	}
}

func (c *overIntent) backend(g *intent.Gateway, r *intent.GatewayRoute) {
	from := scope.GatewayRef(g)
	ref := literal.Ref(r.To.V, from.Namespace)
	s := c.scope.Service(ref)
	if s == nil {
		d := c.report(diag.UnknownBackend, r.To.At, "gateway route %q goes to service %q, which does not exist", r.Name.V, ref)
		if c.scope.External(ref) != nil {
			d.Message = "gateway route \"" + r.Name.V + "\" goes to \"" + ref.String() + "\", which is an external; a gateway leads into the mesh"
			return
		}
		var known []string
		for _, o := range c.mesh.Services {
			known = append(known, written(scope.ServiceRef(o), from.Namespace))
		}
		meantText(d, r.To, known, nil)
		return
	}
	if c.backendPort(s, r); scope.BackendPort(s, r) != nil {
		c.gatewayChanges(s, r)
	}
}

func (c *overIntent) backendPort(s *intent.Service, r *intent.GatewayRoute) {
	switch p := scope.BackendPort(s, r); {
	case p != nil:
	case r.Port != nil:
		d := c.report(diag.UnknownPort, r.Port.At, "gateway route %q: service %q has no port %q", r.Name.V, s.Name.V, r.Port.V)
		meantText(d, *r.Port, portNames(s), nil)
	case len(s.Ports) == 0:
		c.report(diag.UnknownPort, r.To.At, "gateway route %q: service %q has no ports", r.Name.V, s.Name.V)
	default:
		d := c.report(diag.AmbiguousPort, r.To.At, "gateway route %q: service %q has several ports", r.Name.V, s.Name.V)
		d.Help = "write `port`: one of " + strings.Join(portNames(s), ", ")
	}
}

// listenersOf gives the listeners that a route is on.
func (c *overIntent) listenersOf(g *intent.Gateway, r *intent.GatewayRoute) []*intent.GatewayListener {
	if r.Listener == nil {
		return scope.RouteListeners(g, r)
	}
	var known []string
	for _, l := range g.Listeners {
		if l.Name.V == r.Listener.V {
			return []*intent.GatewayListener{l}
		}
		known = append(known, l.Name.V)
	}
	d := c.report(diag.UnknownListener, r.Listener.At, "gateway route %q: gateway %q has no listener %q", r.Name.V, g.Name.V, r.Listener.V)
	meantText(d, *r.Listener, known, nil)
	return nil
}

var dnsName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)

// isDNSName follows RFC 1123: labels of letters, digits and inner hyphens.
func isDNSName(name string) bool { return len(name) <= 253 && dnsName.MatchString(name) }

// hostPatterns checks patterns and says whether all are fine.
func (c *overIntent) hostPatterns(hosts []intent.Value[string]) bool {
	ok := true
	for _, h := range hosts {
		name := strings.TrimPrefix(strings.ToLower(h.V), "*.")
		if h.V == "*" || isDNSName(name) {
			continue
		}
		ok = false
		c.report(diag.BadHost, h.At, "%q is not a host pattern", h.V).Help = "a host is a DNS name, \"*.\" and a DNS name, or \"*\"; the port is the listener's"
	}
	return ok
}

// hostsOnListeners checks that each host of a route is one that some listener
// of the route takes.
func (c *overIntent) hostsOnListeners(r *intent.GatewayRoute, listeners []*intent.GatewayListener) {
	for _, h := range r.Hosts {
		taken := false
		for _, l := range listeners {
			taken = taken || len(l.Hosts) == 0
			for _, p := range l.Hosts {
				outer, inner := strings.ToLower(p.V), strings.ToLower(h.V)
				taken = taken || model.HostCovers(outer, inner) || model.HostCovers(inner, outer)
			}
		}
		if !taken {
			c.report(diag.HostNotOnListener, h.At, "gateway route %q: no listener of the route takes host %q", r.Name.V, h.V)
		}
	}
}
