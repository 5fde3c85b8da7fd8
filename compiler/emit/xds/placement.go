package xds

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/model"
)

// Placement says where the workloads of a mesh are when no discovery does: one
// ready workload per version of each service and one per gateway. Each address is
// the port that it stands for at an address in 127.64.0.0/10 that depends on the
// names alone, so that adding a service moves nobody else. Two names whose hashes
// meet (one pair in four million) are told apart by their order. It holds
// numbers, and makes workloads of those that are asked for.
type Placement struct {
	mesh  *model.Mesh
	roles []model.Role // of the workloads of each service
	at    []uint32     // addresses, in the order in which they were given
	from  []int        // where those of each workload begin: of the versions of services, then of gateways
}

// Place gives the placement of a mesh, which may not change as long as that is
// used.
func Place(m *model.Mesh) *Placement {
	p := &Placement{mesh: m, roles: make([]model.Role, len(m.Services))}
	size := len(m.Gateways)
	for i, s := range m.Services {
		p.roles[i] = m.RoleOf(s)
		size += len(s.Versions)
	}
	p.from = make([]int, 0, size+1)
	g := giver{p: p, taken: make(map[place]struct{}, 8*size)}
	for i, s := range m.Services {
		var used [][]model.Port
		if p.roles[i] != model.RoleGRPC {
			used = portsUsed(m, s)
		}
		for k := range s.Versions {
			p.from = append(p.from, len(p.at))
			w := p.service(i, k)
			g.name = append(g.name[:0], w.NodeID()...)
			visit(s, w.Role, used, g.give)
		}
	}
	for i, gw := range m.Gateways {
		p.from = append(p.from, len(p.at))
		g.name = append(g.name[:0], p.gateway(i).NodeID()...)
		visitGateway(gw, g.give)
	}
	p.from = append(p.from, len(p.at))
	return p
}

// DefaultWorkloads are all workloads of a Placement, by node id.
func DefaultWorkloads(m *model.Mesh) []*model.Workload {
	return Place(m).Workloads(func(model.Ref) bool { return true })
}

// Workloads makes the workloads of some services and gateways, by node id.
func (p *Placement) Workloads(wanted func(model.Ref) bool) []*model.Workload {
	var out []*model.Workload
	n := 0
	for i, s := range p.mesh.Services {
		if wanted(s.Ref) {
			used := portsUsed(p.mesh, s)
			for k := range s.Versions {
				w := p.service(i, k)
				p.address(w, s, n+k, used)
				out = append(out, w)
			}
		}
		n += len(s.Versions)
	}
	for i, g := range p.mesh.Gateways {
		if wanted(g.Ref) {
			w := p.gateway(i)
			w.Inbound = make(map[uint16]string)
			next := p.from[n+i]
			visitGateway(g, func(port uint16, _ direction, _ model.Ref) {
				w.Inbound[port] = addressAt(p.at[next], port)
				next++
			})
			out = append(out, w)
		}
	}
	ids := make(map[*model.Workload]string, len(out))
	for _, w := range out {
		ids[w] = w.NodeID()
	}
	slices.SortFunc(out, func(a, b *model.Workload) int { return strings.Compare(ids[a], ids[b]) })
	return out
}

func (p *Placement) service(i, version int) *model.Workload {
	s := p.mesh.Services[i]
	return &model.Workload{
		// A service's name holds no dot: no two pairs give one ID.
		ID:      s.Name + "." + s.Versions[version].Name + "-0",
		Role:    p.roles[i],
		Service: s.Ref,
		Version: s.Versions[version].Name,
		Ready:   true,
	}
}

func (p *Placement) gateway(i int) *model.Workload {
	g := p.mesh.Gateways[i]
	return &model.Workload{ID: g.Name + "-0", Role: model.RoleGateway, Service: g.Ref, Ready: true}
}

// address writes into a workload of a service what it was given.
func (p *Placement) address(w *model.Workload, s *model.Service, n int, used [][]model.Port) {
	w.Inbound = make(map[uint16]string)
	if w.Role != model.RoleGRPC {
		w.App, w.Outbound = make(map[uint16]string), make(map[string]string)
	}
	next := p.from[n]
	visit(s, w.Role, used, func(port uint16, d direction, of model.Ref) {
		at := addressAt(p.at[next], port)
		next++
		switch d {
		case inboundAddress:
			w.Inbound[port] = at
		case appAddress:
			w.App[port] = at
		case outboundAddress:
			w.Outbound[model.OutboundKey(of, port)] = at
		}
	})
}

// direction is what an address of a workload is for.
type direction string

const (
	inboundAddress  direction = "inbound"
	appAddress      direction = "app"
	outboundAddress direction = "outbound"
)

// visit calls f for each address that a workload of s has; of is whom an outbound
// one leads to.
func visit(s *model.Service, role model.Role, used [][]model.Port, f func(port uint16, d direction, of model.Ref)) {
	for _, port := range s.Ports {
		f(port.Number, inboundAddress, model.Ref{})
	}
	if role == model.RoleGRPC {
		return
	}
	for _, port := range s.Ports {
		f(port.Number, appAddress, model.Ref{})
	}
	for i, of := range s.Uses {
		for _, port := range used[i] {
			f(port.Number, outboundAddress, of)
		}
	}
}

func visitGateway(g *model.Gateway, f func(port uint16, d direction, of model.Ref)) {
	if g.Egress {
		f(model.EgressPort, inboundAddress, model.Ref{})
	}
	for _, l := range g.Listeners {
		f(l.Port, inboundAddress, model.Ref{})
	}
}

// portsUsed are those of each service or external that s uses.
func portsUsed(m *model.Mesh, s *model.Service) [][]model.Port {
	out := make([][]model.Port, len(s.Uses))
	for i, used := range s.Uses {
		if to := m.Service(used); to != nil {
			out[i] = to.Ports
		} else if x := m.External(used); x != nil {
			out[i] = x.Ports
		}
	}
	return out
}

// place is an address and a port.
type place struct {
	at   uint32
	port uint32 // as wide as at, so that a place hashes as plain memory
}

// giver hands out addresses, none twice.
type giver struct {
	p     *Placement
	taken map[place]struct{}
	name  []byte // node id of the workload that is given addresses
}

// give hands out the first free address from the hash of names on.
func (g *giver) give(port uint16, d direction, of model.Ref) {
	h := hashed(hashed(fnvOffset, d), g.name)
	if d == outboundAddress {
		h = hashed(joined(joined(h, of.Namespace), "/"), of.Name)
	}
	for n := h; ; n++ {
		at, taken := place{hostBits(n), uint32(port)}, len(g.taken)
		if g.taken[at] = (struct{}{}); len(g.taken) > taken {
			g.p.at = append(g.p.at, at.at)
			return
		}
	}
}

// FNV-1a of 32 bits, by http://www.isthe.com/chongo/tech/comp/fnv.
const (
	fnvOffset uint32 = 2166136261
	fnvPrime  uint32 = 16777619
)

// hashed adds a name and the zero that ends it to a hash.
func hashed[T ~string | []byte](h uint32, name T) uint32 {
	return joined(h, name) * fnvPrime
}

// joined adds the beginning of a name to a hash.
func joined[T ~string | []byte](h uint32, name T) uint32 {
	for i := range len(name) {
		h = (h ^ uint32(name[i])) * fnvPrime
	}
	return h
}

// hostBits puts the upper bits of n, which a hash mixes best, into the 22 host
// bits of 127.64.0.0/10.
func hostBits(n uint32) uint32 { return (n ^ n>>22) & (1<<22 - 1) }

func addressAt(host uint32, port uint16) string {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 127<<24|64<<16|host)
	return netip.AddrPortFrom(netip.AddrFrom4(b), port).String()
}
