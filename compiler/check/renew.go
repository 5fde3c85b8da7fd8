package check

import (
	"slices"

	"github.com/meshc/meshc/compiler/model"
)

// sameCalls says that the services and gateways at these places call in one mesh
// what they called in the other.
func (g *callGraph) sameCalls(old, now *model.Mesh, services, gateways []int) bool {
	return g != nil &&
		!slices.ContainsFunc(services, func(i int) bool { return !slices.Equal(old.Services[i].Uses, now.Services[i].Uses) }) &&
		!slices.ContainsFunc(gateways, func(i int) bool { return !slices.Equal(backends(old.Gateways[i]), backends(now.Gateways[i])) })
}

// renew takes in what services have become that call what they did.
func (g *callGraph) renew(services []*model.Service) {
	nodes := make([]int, len(services))
	for i, s := range services {
		nodes[i] = g.index[s.Ref]
		g.nodes[nodes[i]].service = s
	}
	if g.tries != nil {
		g.tries.renew(nodes)
	}
	if g.budgets != nil {
		g.budgets.renew(nodes)
	}
	for _, v := range nodes {
		if g.faults != nil {
			g.faults[v] = hasFaults(g.nodes[v].service)
		}
	}
}

// renew takes in nodes that have another service.
func (a *amplification) renew(nodes []int) {
	same := true
	for _, v := range nodes {
		was := a.own[v]
		a.own[v], a.worst[v] = triesOf(a.nodes[v].service)
		same = same && a.own[v] == was
	}
	if !same {
		a.multiply()
	}
}

// renew takes in nodes that have another service, and whoever waits for them.
func (b *budgets) renew(nodes []int) {
	again := make([]bool, len(b.nodes))
	for _, v := range nodes {
		again[v] = true
	}
	for _, v := range b.order {
		if !again[v] {
			continue
		}
		was := b.takes[v]
		if b.node(v); b.takes[v] == was {
			continue
		}
		for _, caller := range b.nodes[v].callers {
			again[caller] = true
		}
	}
}

// withFaults lists the services of the mesh with a fault on a route.
func (c *overModel) withFaults() []*model.Service {
	g := c.graph()
	if g.faults == nil {
		g.faults = make([]bool, len(g.nodes))
		for v := range g.nodes {
			g.faults[v] = hasFaults(g.nodes[v].service)
		}
	}
	var out []*model.Service
	for v, has := range g.faults {
		if has {
			out = append(out, g.nodes[v].service)
		}
	}
	return out
}

func hasFaults(s *model.Service) bool {
	return s != nil && slices.ContainsFunc(s.Routes, func(r *model.Route) bool {
		return r.Delay != nil || r.Abort != nil || r.Bandwidth != nil
	})
}
