package xds

import (
	"encoding/binary"
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/model"
)

// DefaultWorkloads places one ready workload per version of each service and
// one per gateway, for when no discovery says where they run. Each address is
// the port that it stands for at an address in 127.64.0.0/10 that depends on
// the names alone, so that adding a service moves nobody else. Two names whose
// hashes meet (one pair in four million) are told apart by their order. The
// order is by node id.
func DefaultWorkloads(m *model.Mesh) []*model.Workload {
	var out []*model.Workload
	p := &placer{mesh: m, taken: make(map[netip.AddrPort]bool)}
	for _, s := range m.Services {
		for i := range s.Versions {
			w := serviceWorkload(m, s, s.Versions[i].Name)
			p.placeService(w, s)
			out = append(out, w)
		}
	}
	for _, g := range m.Gateways {
		w := &model.Workload{ID: g.Name + "-0", Role: model.RoleGateway, Service: g.Ref, Ready: true}
		p.placeGateway(w, g)
		out = append(out, w)
	}
	slices.SortFunc(out, func(a, b *model.Workload) int { return strings.Compare(a.NodeID(), b.NodeID()) })
	return out
}

func serviceWorkload(m *model.Mesh, s *model.Service, version string) *model.Workload {
	return &model.Workload{
		// A service's name holds no dot: no two pairs give one ID.
		ID:      s.Name + "." + version + "-0",
		Role:    m.RoleOf(s),
		Service: s.Ref,
		Version: version,
		Ready:   true,
	}
}

// placer hands out addresses, none twice.
type placer struct {
	mesh  *model.Mesh
	taken map[netip.AddrPort]bool
}

func (p *placer) placeGateway(w *model.Workload, g *model.Gateway) {
	w.Inbound = make(map[uint16]string)
	if g.Egress {
		w.Inbound[model.EgressPort] = p.address(model.EgressPort, "inbound", w.NodeID())
	}
	for _, l := range g.Listeners {
		w.Inbound[l.Port] = p.address(l.Port, "inbound", w.NodeID())
	}
}

func (p *placer) placeService(w *model.Workload, s *model.Service) {
	w.Inbound = make(map[uint16]string)
	for _, port := range s.Ports {
		w.Inbound[port.Number] = p.address(port.Number, "inbound", w.NodeID())
	}
	if w.Role == model.RoleGRPC {
		return
	}
	w.App = make(map[uint16]string)
	for _, port := range s.Ports {
		w.App[port.Number] = p.address(port.Number, "app", w.NodeID())
	}
	w.Outbound = make(map[string]string)
	for _, used := range s.Uses {
		for _, port := range p.ports(used) {
			w.Outbound[model.OutboundKey(used, port.Number)] = p.address(port.Number, "outbound", w.NodeID(), used.String())
		}
	}
}

// ports of a service or an external.
func (p *placer) ports(r model.Ref) []model.Port {
	if s := p.mesh.Service(r); s != nil {
		return s.Ports
	}
	if x := p.mesh.External(r); x != nil {
		return x.Ports
	}
	return nil
}

// address gives the first free address from the hash of names on.
func (p *placer) address(port uint16, names ...string) string {
	h := fnv.New32a()
	for _, n := range names {
		h.Write([]byte(n))
		h.Write([]byte{0})
	}
	for n := h.Sum32(); ; n++ {
		at := netip.AddrPortFrom(loopback(n), port)
		if !p.taken[at] {
			p.taken[at] = true
			return at.String()
		}
	}
}

// loopback puts the upper bits of n, which a hash mixes best, into the 22 host
// bits of 127.64.0.0/10.
func loopback(n uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 127<<24|64<<16|(n^n>>22)&(1<<22-1))
	return netip.AddrFrom4(b)
}
