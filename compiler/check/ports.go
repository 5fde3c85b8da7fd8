package check

import (
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
)

func (c *overIntent) ports() {
	for _, s := range c.in.services {
		c.portList(s.Ports)
		if len(s.Ports) == 0 && c.isCalled(s) {
			d := c.report(diag.NoPorts, s.Name.At, "service %q has no ports, so nobody can call it", s.Name.V)
			d.Help = "write `ports: http: {number: ..., protocol: \"http\"}`"
		}
	}
	for _, e := range c.in.externals {
		c.portList(e.Ports)
		if len(e.Ports) == 0 {
			c.report(diag.NoPorts, e.Name.At, "external %q has no ports, so nobody can call it", e.Name.V)
		}
	}
	for _, g := range c.in.gateways {
		c.listenerPorts(g)
	}
}

// isCalled says whether s does anything but call others: routes, versions and
// allow rules are there for callers.
func (c *overIntent) isCalled(s *intent.Service) bool {
	return len(s.Routes) > 0 || len(s.Versions) > 1 || s.Security != nil && s.Security.HasAllow
}

func (c *overIntent) portList(ports []*intent.Port) {
	seen := map[int]diag.Range{}
	for _, p := range ports {
		c.portNumber(seen, "port", p.Name.V, p.Number)
	}
}

func (c *overIntent) listenerPorts(g *intent.Gateway) {
	seen := map[int]diag.Range{}
	for _, l := range g.Listeners {
		c.portNumber(seen, "listener", l.Name.V, l.Port)
	}
}

func (c *overIntent) portNumber(seen map[int]diag.Range, kind, name string, number intent.Value[int]) {
	if number.V < 1 || number.V > 65535 {
		c.report(diag.WrongValue, number.At, "%s %q: %d is not a port number", kind, name, number.V)
		return
	}
	first, clash := seen[number.V]
	if !clash {
		seen[number.V] = number.At
		return
	}
	d := c.report(diag.DuplicatePort, number.At, "%s %q: number %d is taken", kind, name, number.V)
	d.Related = []diag.Related{{Range: first, Message: "taken first here"}}
}
