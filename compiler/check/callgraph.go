package check

import (
	"fmt"

	"github.com/meshc/meshc/compiler/model"
)

// callGraph is who calls whom: services and externals by `uses`, and services
// by the routes of gateways.
type callGraph struct {
	nodes []callee
	index map[model.Ref]int
	// order holds every node once, those that are called before their callers,
	// except within a cycle.
	order []int
	// What passes made of the services of the nodes; nil before.
	tries   *amplification
	budgets *budgets
	faults  []bool // of a service: it has faults
	// cycles are the sets of nodes that all reach each other, of two or more.
	cycles [][]int
}

// callee is a node: a service, an external or a gateway, with its edges in the
// order of references.
type callee struct {
	what     string // `service "shop/cart"`
	ref      model.Ref
	name     string // "shop/cart"
	service  *model.Service
	external *model.External
	calls    []int
	callers  []int
	cycle    int // index into cycles, or -1
}

// graph is the call graph of the mesh, made once.
func (c *overModel) graph() *callGraph {
	if c.calls == nil {
		c.calls = newCallGraph(c.mesh)
	}
	return c.calls
}

func newCallGraph(m *model.Mesh) *callGraph {
	g := &callGraph{index: make(map[model.Ref]int, len(m.Services)+len(m.Externals)+len(m.Gateways))}
	for _, s := range m.Services {
		g.add(s.Ref, callee{what: fmt.Sprintf("service %q", s.Ref), service: s})
	}
	for _, e := range m.Externals {
		g.add(e.Ref, callee{what: fmt.Sprintf("external %q", e.Ref), external: e})
	}
	for _, gw := range m.Gateways {
		g.add(gw.Ref, callee{what: fmt.Sprintf("gateway %q", gw.Ref)})
	}
	for _, s := range m.Services {
		for _, to := range s.Uses {
			g.edge(g.index[s.Ref], to)
		}
	}
	for _, gw := range m.Gateways {
		for _, to := range backends(gw) {
			g.edge(g.index[gw.Ref], to)
		}
	}
	g.components()
	return g
}

func (g *callGraph) add(ref model.Ref, c callee) {
	c.ref, c.name, c.cycle = ref, ref.String(), -1
	g.index[ref] = len(g.nodes)
	g.nodes = append(g.nodes, c)
}

func (g *callGraph) edge(from int, ref model.Ref) {
	to, known := g.index[ref]
	if !known {
		return
	}
	g.nodes[from].calls = append(g.nodes[from].calls, to)
	g.nodes[to].callers = append(g.nodes[to].callers, from)
}

// backends lists the services that a gateway leads to, each once, in the order
// of its routes.
func backends(gw *model.Gateway) []model.Ref {
	var out []model.Ref
	seen := map[model.Ref]bool{}
	for _, l := range gw.Listeners {
		for _, h := range l.Hosts {
			for _, r := range h.Routes {
				if !seen[r.Service] {
					seen[r.Service] = true
					out = append(out, r.Service)
				}
			}
		}
	}
	return out
}

// components fills order and cycles by Tarjan's algorithm, which finishes what
// is called before what calls it.
func (g *callGraph) components() {
	t := &tarjan{callGraph: g, found: make([]int, len(g.nodes)), low: make([]int, len(g.nodes)), open: make([]bool, len(g.nodes))}
	for v := range g.nodes {
		if t.found[v] == 0 {
			t.visit(v)
		}
	}
}

type tarjan struct {
	*callGraph
	found, low []int // from 1, in the order of discovery; 0: not yet found
	open       []bool
	stack      []int
	count      int
}

func (t *tarjan) visit(v int) {
	t.count++
	t.found[v], t.low[v] = t.count, t.count
	t.stack = append(t.stack, v)
	t.open[v] = true
	for _, w := range t.nodes[v].calls {
		switch {
		case t.found[w] == 0:
			t.visit(w)
			t.low[v] = min(t.low[v], t.low[w])
		case t.open[w]:
			t.low[v] = min(t.low[v], t.found[w])
		}
	}
	if t.low[v] != t.found[v] {
		return
	}
	first := len(t.stack) - 1
	for t.stack[first] != v {
		first--
	}
	t.finish(append([]int{}, t.stack[first:]...))
	t.stack = t.stack[:first]
}

func (t *tarjan) finish(members []int) {
	for _, v := range members {
		t.open[v] = false
		if len(members) > 1 {
			t.nodes[v].cycle = len(t.cycles)
		}
	}
	t.order = append(t.order, members...)
	if len(members) > 1 {
		t.cycles = append(t.cycles, members)
	}
}

// sameCycle says that two nodes reach each other.
func (g *callGraph) sameCycle(a, b int) bool {
	return g.nodes[a].cycle >= 0 && g.nodes[a].cycle == g.nodes[b].cycle
}

// lap is a shortest way from a node of a cycle back to itself, that node at
// both ends.
func (g *callGraph) lap(start int) []int {
	from := map[int]int{}
	queue := []int{start}
	for len(queue) > 0 {
		v := queue[0]
		queue = queue[1:]
		for _, w := range g.nodes[v].calls {
			if w == start {
				return g.back(from, start, v)
			}
			if _, seen := from[w]; !seen && g.sameCycle(v, w) {
				from[w] = v
				queue = append(queue, w)
			}
		}
	}
	return nil
}

// back follows from to start, and gives the way there, closed to a lap.
func (g *callGraph) back(from map[int]int, start, v int) []int {
	way := []int{start}
	for v != start {
		way = append([]int{v}, way...)
		v = from[v]
	}
	return append([]int{start}, way...)
}
