package xds_test

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
)

// placedPlainly says where default workloads are, as it is documented: each address
// is the first that is free from the hash of its names on.
func placedPlainly(m *model.Mesh) []*model.Workload {
	taken := map[string]bool{}
	address := func(port uint16, names ...string) string {
		h := fnv.New32a()
		fmt.Fprint(h, strings.Join(names, "\x00")+"\x00")
		for n := h.Sum32(); ; n++ {
			ip := binary.BigEndian.AppendUint32(nil, 127<<24|64<<16|(n^n>>22)&(1<<22-1))
			at := netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip)), port).String()
			if !taken[at] {
				taken[at] = true
				return at
			}
		}
	}
	var out []*model.Workload
	for _, s := range m.Services {
		for _, v := range s.Versions {
			w := &model.Workload{ID: s.Name + "." + v.Name + "-0", Role: m.RoleOf(s), Service: s.Ref, Version: v.Name, Ready: true, Inbound: map[uint16]string{}}
			for _, p := range s.Ports {
				w.Inbound[p.Number] = address(p.Number, "inbound", w.NodeID())
			}
			if w.Role != model.RoleGRPC {
				w.App, w.Outbound = map[uint16]string{}, map[string]string{}
				for _, p := range s.Ports {
					w.App[p.Number] = address(p.Number, "app", w.NodeID())
				}
				for _, used := range s.Uses {
					for _, p := range portsOf(m, used) {
						w.Outbound[model.OutboundKey(used, p.Number)] = address(p.Number, "outbound", w.NodeID(), used.String())
					}
				}
			}
			out = append(out, w)
		}
	}
	for _, g := range m.Gateways {
		w := &model.Workload{ID: g.Name + "-0", Role: model.RoleGateway, Service: g.Ref, Ready: true, Inbound: map[uint16]string{}}
		if g.Egress {
			w.Inbound[model.EgressPort] = address(model.EgressPort, "inbound", w.NodeID())
		}
		for _, l := range g.Listeners {
			w.Inbound[l.Port] = address(l.Port, "inbound", w.NodeID())
		}
		out = append(out, w)
	}
	slices.SortStableFunc(out, func(a, b *model.Workload) int { return strings.Compare(a.NodeID(), b.NodeID()) })
	return out
}

func portsOf(m *model.Mesh, r model.Ref) []model.Port {
	if s := m.Service(r); s != nil {
		return s.Ports
	}
	if x := m.External(r); x != nil {
		return x.Ports
	}
	return nil
}

// crowded is a mesh of so many services that hashes of names meet often.
func crowded(services int) *model.Mesh {
	m := &model.Mesh{}
	for i := range services {
		m.Services = append(m.Services, &model.Service{
			Ref:      model.Ref{Namespace: fmt.Sprintf("n%03d", i/20), Name: fmt.Sprintf("svc-%05d", i)},
			Ports:    []model.Port{{Number: 8080, Protocol: model.HTTP}},
			Versions: []model.Version{{Name: "v1"}, {Name: "v2"}},
		})
	}
	for i, s := range m.Services {
		for k := range 5 {
			s.Uses = append(s.Uses, m.Services[(i*7+k*31)%services].Ref)
		}
	}
	return m
}

func TestPlacementIsByNamesAndOrder(t *testing.T) {
	meshes := []*model.Mesh{crowded(2000)}
	for seed := range uint64(200) {
		meshes = append(meshes, newDice(seed, seed%2 == 0).mesh())
	}
	for i, m := range meshes {
		all := xds.DefaultWorkloads(m)
		if d := cmp.Diff(placedPlainly(m), all); d != "" {
			t.Fatalf("mesh %d (- as documented):\n%s", i, d)
		}
		wanted := func(r model.Ref) bool { return r.Name == m.Services[0].Name }
		some := slices.DeleteFunc(slices.Clone(all), func(w *model.Workload) bool { return !wanted(w.Service) })
		if d := cmp.Diff(some, xds.Place(m).Workloads(wanted)); d != "" {
			t.Fatalf("mesh %d, some (- of all):\n%s", i, d)
		}
	}
}

// another is a mesh in which some services are others.
func (d *dice) another(m *model.Mesh) *model.Mesh {
	out := *m
	out.Services = slices.Clone(m.Services)
	for range 1 + d.IntN(2) {
		i := d.IntN(len(out.Services))
		s := *out.Services[i]
		switch d.IntN(4) {
		case 0:
			s.Routes = d.service(s.Name).Routes
		case 1:
			s.Uses = d.uses(m, out.Services[i])
		case 2:
			s.Ports = slices.Clone(s.Ports)
			s.Ports[0].Protocol = pick(d, model.HTTP, model.GRPC)
			s.Ports[0].Number = pick[uint16](d, 80, 81)
		case 3:
			s.MTLS = pick(d, model.MTLSStrict, model.MTLSPermissive)
		}
		out.Services[i] = &s
	}
	return &out
}

// Whoever is not reached by a change has the same inputs, at the same time, and
// who is reached is made with what is around it as with all.
func TestWhoeverIsNotReachedHasTheSameInputs(t *testing.T) {
	left := 0
	for seed := range uint64(120) {
		d := newDice(seed, false)
		last := d.mesh()
		m := d.another(last)
		differing, ok := xds.Differing(last, m)
		if !ok {
			t.Fatalf("seed %d: only services differ", seed)
		}
		place := xds.Place(m)
		reached := place.Reached(differing)
		is := func(r model.Ref) bool { return reached[r] }
		before, now := renderer(t, last, xds.DefaultWorkloads(last)), renderer(t, m, xds.DefaultWorkloads(m))
		around := renderer(t, m, place.Around(is))
		was := byName(xds.DefaultWorkloads(last))
		for _, w := range xds.DefaultWorkloads(m) {
			if !is(w.Service) {
				left++
				old := was[w.Service.Name+w.Version]
				if d := cmp.Diff(old, w); d != "" || !slices.EqualFunc(before.Inputs(old), now.Inputs(w), slices.Equal) {
					t.Fatalf("seed %d: %s is not reached and has other inputs: %s", seed, w.NodeID(), d)
				}
				continue
			}
			got, gotErr := render(around, w)
			want, wantErr := render(now, w)
			if (gotErr == nil) != (wantErr == nil) || string(got) != string(want) || !sameInputs(t, around, now, w) {
				t.Fatalf("seed %d: %s is another with what is around it: %v, %v", seed, w.NodeID(), gotErr, wantErr)
			}
		}
	}
	if left < 60 {
		t.Errorf("only %d proxies are not reached", left)
	}
}

// byName finds workloads by service and version.
func byName(all []*model.Workload) map[string]*model.Workload {
	out := map[string]*model.Workload{}
	for _, w := range all {
		out[w.Service.Name+w.Version] = w
	}
	return out
}

func renderer(t *testing.T, m *model.Mesh, all []*model.Workload) *xds.Renderer {
	t.Helper()
	r, err := xds.NewRenderer(m, all, xds.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// An address that another service took moves whoever had it.
func TestAddressesThatMoveReach(t *testing.T) {
	last := crowded(1000)
	m := *last
	m.Services = slices.Clone(last.Services)
	first := *m.Services[0]
	first.Uses = nil
	for _, s := range m.Services[1:] { // takes thousands of addresses, before all others
		first.Uses = append(first.Uses, s.Ref)
	}
	m.Services[0] = &first
	differing, ok := xds.Differing(last, &m)
	moved := map[model.Ref]bool{}
	was := byName(xds.DefaultWorkloads(last))
	for _, w := range xds.DefaultWorkloads(&m) {
		if !reflect.DeepEqual(was[w.Service.Name+w.Version], w) {
			moved[w.Service] = true
		}
	}
	if d := cmp.Diff(moved, differing); !ok || d != "" || len(moved) < 2 {
		t.Errorf("%d moved (- moved, + differing): %s", len(moved), d)
	}
}

func TestWhatIsMoreThanServicesIsNotFollowed(t *testing.T) {
	last := newDice(1, false).mesh()
	for name, edit := range map[string]func(m *model.Mesh){
		"domain":   func(m *model.Mesh) { m.TrustDomain += "x" },
		"gateways": func(m *model.Mesh) { m.Gateways = append(slices.Clone(m.Gateways), &model.Gateway{Ref: shop("zz")}) },
		"gateway":  func(m *model.Mesh) { m.Gateways = []*model.Gateway{{Ref: shop("zz")}} },
		"external": func(m *model.Mesh) { m.Externals = []*model.External{{Ref: shop("zz")}} },
		"fewer":    func(m *model.Mesh) { m.Services = m.Services[1:] },
		"version": func(m *model.Mesh) {
			s := *m.Services[0]
			s.Versions = []model.Version{{Name: "v7"}, {Name: "v2"}, {Name: "v3"}}
			m.Services = append([]*model.Service{&s}, m.Services[1:]...)
		},
	} {
		m := *last
		edit(&m)
		if _, ok := xds.Differing(last, &m); ok {
			t.Errorf("%s: a difference of services", name)
		}
	}
}
