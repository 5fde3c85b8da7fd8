package xds

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"github.com/meshc/meshc/compiler/model"
)

// instance selects the workloads of one version of a service.
type instance struct {
	service model.Ref
	version string
}

// index answers look-ups in a mesh and in those of its workloads that one
// proxy may know.
type index struct {
	mesh      *model.Mesh
	workloads map[instance][]*model.Workload   // sorted by ID, ingress gateways left out
	fleets    map[fleet]map[model.Locality]int // how many are ready in each place

	logFiles sync.Map // digest of a model.AccessLog → *anypb.Any, the sink that it is
}

// newIndex keeps the workloads of self's own service and of those that it
// uses: work for one proxy must not grow with the mesh.
func newIndex(m *model.Mesh, self *model.Workload, all []*model.Workload) (*index, error) {
	ix := emptyIndex(m)
	services := visible(m, self)
	return ix, ix.place(func(r model.Ref) bool { return services[r] }, all)
}

func emptyIndex(m *model.Mesh) *index {
	return &index{mesh: m, workloads: make(map[instance][]*model.Workload), fleets: make(map[fleet]map[model.Locality]int)}
}

// visible are those that see gives, each once.
func visible(m *model.Mesh, self *model.Workload) map[model.Ref]bool {
	out := make(map[model.Ref]bool)
	see(m, self, func(r model.Ref) { out[r] = true })
	return out
}

// see gives the services and egress gateways whose workloads self may know, what
// takes its telemetry among them, and the externals behind it.
func see(m *model.Mesh, self *model.Workload, known func(model.Ref)) {
	yield := func(r model.Ref) {
		known(r)
		if x := m.External(r); x != nil && x.Via != nil {
			known(x.Via.Gateway)
		}
	}
	yield(self.Service)
	if s := m.Service(self.Service); s != nil {
		for _, used := range s.Uses {
			yield(used)
		}
		seeBeside(s.JWT, m.CopiesOf(s), s.Collectors(), yield)
	}
	if asked := asksForLimits(m, self); asked != nil {
		yield(asked.Service)
	}
	if g := m.Gateway(self.Service); g != nil && self.Role == model.RoleGateway {
		seeByGateway(m, g, yield)
	}
}

// seeBeside gives whom a proxy asks for keys, and where it sends copies and
// telemetry.
func seeBeside(tokens []model.JWT, copies []model.Mirror, collectors []model.Collector, yield func(model.Ref)) {
	for _, k := range model.KeySources(tokens) {
		yield(k.External)
	}
	for _, c := range copies {
		yield(c.Service)
	}
	for _, c := range collectors {
		yield(c.To)
	}
}

func seeByGateway(m *model.Mesh, g *model.Gateway, yield func(model.Ref)) {
	if g.Authorizer != nil {
		yield(g.Authorizer.Service)
	}
	for _, x := range m.Behind(g.Ref) {
		yield(x.Ref)
	}
	seeBeside(g.JWT, g.Copies(), g.Collectors(), yield)
	for _, l := range g.Listeners {
		for _, h := range l.Hosts {
			for _, r := range h.Routes {
				if !r.Itself() {
					yield(r.Service)
				}
			}
		}
	}
}

// asksForLimits is whom the proxy of self asks for limits; nil for nobody.
func asksForLimits(m *model.Mesh, self *model.Workload) *model.RateLimitService {
	if g := m.Gateway(self.Service); g != nil && self.Role == model.RoleGateway {
		return model.LimitServer(g.RateLimits)
	}
	if s := m.Service(self.Service); s != nil && self.Role == model.RoleSidecar {
		return model.LimitServer(s.RateLimits)
	}
	return nil
}

func (ix *index) place(visible func(model.Ref) bool, all []*model.Workload) error {
	seen := make(map[string]bool)
	for _, w := range all {
		if !visible(w.Service) {
			continue
		}
		id := w.NodeID()
		if seen[id] {
			return fmt.Errorf("two workloads are called %s", id)
		}
		seen[id] = true
		ix.count(w)
		if g := ix.mesh.Gateway(w.Service); w.Role == model.RoleGateway && (g == nil || !g.Egress) {
			continue
		}
		k := instance{w.Service, w.Version}
		ix.workloads[k] = append(ix.workloads[k], w)
	}
	for _, list := range ix.workloads {
		slices.SortFunc(list, func(a, b *model.Workload) int { return cmp.Compare(a.ID, b.ID) })
	}
	return nil
}

func (ix *index) count(w *model.Workload) {
	if !w.Ready {
		return
	}
	f := fleetOf(w)
	if ix.fleets[f] == nil {
		ix.fleets[f] = make(map[model.Locality]int)
	}
	ix.fleets[f][w.Locality]++
}

func (ix *index) service(r model.Ref) (*model.Service, error) {
	if s := ix.mesh.Service(r); s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("no service %s in the mesh", r)
}
