package xds

import (
	"slices"

	"github.com/meshc/meshc/compiler/changed"
	"github.com/meshc/meshc/compiler/digest"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/parallel"
)

// Differing are the services of m that differ from the last state of the mesh, or
// whose default workloads do (Place). What is the same in both
// states must be the same pointers. It is not ok where something else than a service
// differs, or there are other services or versions.
func Differing(last, m *model.Mesh) (services map[model.Ref]bool, ok bool) {
	at, ok := changed.Between(last.Services, m.Services, func(s *model.Service) model.Ref { return s.Ref })
	if !ok || !slices.Equal(last.Gateways, m.Gateways) || !slices.Equal(last.Externals, m.Externals) || !sameFrame(last, m) {
		return nil, false
	}
	services = make(map[model.Ref]bool, len(at))
	moved, ports := false, make(map[model.Ref]bool)
	for _, i := range at {
		was, is := last.Services[i], m.Services[i]
		if !slices.EqualFunc(was.Versions, is.Versions, func(a, b model.Version) bool { return a.Name == b.Name }) {
			return nil, false
		}
		services[is.Ref] = true
		if digest.Of(was.Ports) != digest.Of(is.Ports) {
			ports[is.Ref] = true
		}
		moved = moved || ports[is.Ref] || !slices.Equal(was.Uses, is.Uses)
	}
	if moved {
		Place(m).moved(Place(last), ports, services)
	}
	return services, true
}

// Reached are the services and gateways whose proxies may have other resources when
// some services differ: these, and those that may know one of them. For all others
// Inputs gives the same, at the same time.
func (p *Placement) Reached(differing map[model.Ref]bool) map[model.Ref]bool {
	reached := make(map[model.Ref]bool)
	if len(differing) == 0 {
		return reached
	}
	for i, sees := range p.seeing(differing) {
		if sees {
			reached[p.mesh.Services[i].Ref] = true
		}
	}
	for _, g := range p.mesh.Gateways { // Inputs looks at all services for them
		reached[g.Ref] = true
	}
	return reached
}

// sameFrame compares what every proxy depends on.
func sameFrame(a, b *model.Mesh) bool {
	bare := func(m *model.Mesh) digest.Sum {
		frame := *m
		frame.Services, frame.Gateways, frame.Externals = nil, nil, nil
		return digest.Of(frame)
	}
	return bare(a) == bare(b)
}

// moved adds those whose workloads have another role than before, or other
// addresses: also for the ports that others have changed.
func (p *Placement) moved(before *Placement, ports, to map[model.Ref]bool) {
	n := 0
	for i, s := range p.mesh.Services {
		end := n + len(s.Versions)
		if p.roles[i] != before.roles[i] || !slices.Equal(p.at[p.from[n]:p.from[end]], before.at[before.from[n]:before.from[end]]) ||
			slices.ContainsFunc(s.Uses, func(r model.Ref) bool { return ports[r] }) {
			to[s.Ref] = true
		}
		n = end
	}
}

// seeing says of each service whether its proxies may know one of some services.
func (p *Placement) seeing(some map[model.Ref]bool) []bool {
	const inTurn = 256
	all := p.mesh.Services
	out := make([]bool, len(all))
	parallel.Each((len(all)+inTurn-1)/inTurn, func(turn int) {
		for i := turn * inTurn; i < min(len(all), (turn+1)*inTurn); i++ {
			// A sidecar knows whom any other role does, and whom it asks for limits.
			self := &model.Workload{Service: all[i].Ref, Role: model.RoleSidecar}
			see(p.mesh, self, func(r model.Ref) { out[i] = out[i] || some[r] })
		}
	})
	return out
}

// Around gives the workloads of some services and gateways, and of all that they
// may know: what NewRenderer needs for their proxies. Order is by node id.
func (p *Placement) Around(some func(model.Ref) bool) []*model.Workload {
	known := make(map[model.Ref]bool)
	for _, w := range p.Workloads(some) {
		see(p.mesh, w, func(r model.Ref) { known[r] = true })
	}
	return p.Workloads(func(r model.Ref) bool { return known[r] })
}
