package check

import (
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// tcp checks what is said of ports that carry bytes.
func (c *overIntent) tcp() {
	for _, s := range c.in.services {
		var ports []*intent.Port
		for _, p := range s.Ports {
			if scope.IsTCP(p) {
				ports = append(ports, p)
			}
		}
		if len(ports) == 0 {
			continue
		}
		sniffed := func(p *intent.Port) bool { return c.scope.ModeOn(s, p.Name.V) == model.MTLSPermissive }
		if i := slices.IndexFunc(ports, sniffed); i >= 0 {
			c.report(diag.SniffedTCP, ports[i].Protocol.At, "port %q of service %q is %s and permissive", ports[i].Name.V, s.Name.V, ports[i].Protocol.V).Help = "write `security: mtls: \"strict\"`, or \"disable\""
		}
		if free := scope.Unrouted(s); len(free) > 0 && len(s.Versions) > 1 && len(s.Routes) > 0 {
			c.report(diag.TCPUnrouted, free[0].At, "no route is for the tcp port %q, and service %q has %d versions", free[0].Name.V, s.Name.V, len(s.Versions))
		}
		c.tcpRoutes(s)
		c.tcpRules(s)
		if len(ports) == len(s.Ports) {
			c.tcpTraffic(s.Traffic)
			for _, v := range s.Versions {
				c.tcpTraffic(v.Traffic)
			}
		}
	}
	for _, e := range c.in.externals {
		c.tcpExternal(e)
	}
}

// ofHTTP reports a field about requests.
func (c *overIntent) ofHTTP(at diag.Range, field, owner string) {
	c.report(diag.FieldOfHTTP, at, "%s: `%s` is about requests, and a tcp port has none", owner, field).Help = "leave it out"
}

func (c *overIntent) tcpRoutes(s *intent.Service) {
	for _, r := range s.Routes {
		if ports := scope.RoutePorts(s, r); len(ports) > 0 && scope.IsTCP(ports[0]) {
			c.tcpRoute(s, r)
		}
	}
}

func (c *overIntent) tcpRoute(s *intent.Service, r *intent.Route) {
	owner := "route \"" + r.Name.V + "\""
	for _, f := range []struct {
		name string
		at   *diag.Range
	}{
		{"match", firstMatch(r.Match)}, {"except", firstMatch(r.Except)},
		{"redirect", at(r.Redirect, func(x *intent.Redirect) diag.Range { return x.At })},
		{"respond", at(r.Respond, func(x *intent.Respond) diag.Range { return x.At })},
		{"rewrite", at(r.Rewrite, func(x *intent.Rewrite) diag.Range { return x.At })},
		{"timeout", at(r.Timeout, func(x *intent.Value[string]) diag.Range { return x.At })},
		{"maxDuration", at(r.MaxDuration, func(x *intent.Value[string]) diag.Range { return x.At })},
		{"retries", at(r.Retries, func(x *intent.Retries) diag.Range { return x.At })},
		{"requestHeaders", at(r.RequestHeaders, func(x *intent.HeaderOps) diag.Range { return x.At })},
		{"responseHeaders", at(r.ResponseHeaders, func(x *intent.HeaderOps) diag.Range { return x.At })},
	} {
		if f.at != nil {
			c.ofHTTP(*f.at, f.name, owner)
		}
	}
	if len(r.From) > 0 {
		c.ofHTTP(r.From[0].At, "from", owner)
	}
	for _, k := range r.Hash {
		c.ofHTTP(k.At, "hash", owner)
	}
	for _, d := range r.Destinations {
		c.ofHTTP(d.Version.At, "destinations", owner)
	}
	for _, f := range s.Faults {
		if f.On.V == r.Name.V {
			c.ofHTTP(f.On.At, "faults", owner)
		}
	}
}

// at is the place of an optional part; nil without it.
func at[T any](part *T, place func(*T) diag.Range) *diag.Range {
	if part == nil {
		return nil
	}
	r := place(part)
	return &r
}

func firstMatch(list []*intent.Match) *diag.Range {
	if len(list) == 0 {
		return nil
	}
	return &list[0].At
}

// tcpRules reports rules about requests that would be for a tcp port too.
func (c *overIntent) tcpRules(s *intent.Service) {
	if s.Security == nil {
		return
	}
	for _, list := range [][]*intent.Rule{s.Security.Allow, s.Security.Deny, s.Security.Audit} {
		for _, r := range list {
			if aboutRequests(r) && onTCP(s, r) {
				d := c.report(diag.FieldOfHTTP, r.At, "a rule about requests is for a tcp port of service %q as well", s.Name.V)
				d.Help = "write `ports` with the http and grpc ports that it is for"
			}
		}
	}
}

func onTCP(s *intent.Service, r *intent.Rule) bool {
	if len(r.Ports) == 0 {
		return true
	}
	for _, name := range r.Ports {
		if p := scope.Port(s.Ports, name.V); p != nil && scope.IsTCP(p) {
			return true
		}
	}
	return false
}

// tcpTraffic reports limits of requests where all ports are tcp.
func (c *overIntent) tcpTraffic(t *intent.Traffic) {
	if t == nil {
		return
	}
	if t.RetryBudget != nil {
		c.ofHTTP(t.RetryBudget.At, "retryBudget", "traffic")
	}
	if k := t.Connections; k != nil {
		for name, v := range map[string]*intent.Value[int]{"maxRequests": k.MaxRequests, "maxRetries": k.MaxRetries, "requestsPerConnection": k.RequestsPerConnection} {
			if v != nil {
				c.ofHTTP(v.At, name, "traffic.connections")
			}
		}
		for name, v := range map[string]*intent.Value[string]{"idle": k.Idle, "maxAge": k.MaxAge} {
			if v != nil {
				c.ofHTTP(v.At, name, "traffic.connections")
			}
		}
	}
}

// tcpExternal: the timeout of an external is that of requests.
func (c *overIntent) tcpExternal(e *intent.External) {
	for _, p := range e.Ports {
		if !scope.IsTCP(p) {
			return
		}
	}
	if e.Timeout != nil && len(e.Ports) > 0 {
		c.ofHTTP(e.Timeout.At, "timeout", "external \""+e.Name.V+"\"")
	}
	c.tcpTraffic(e.Traffic)
}
