package behave_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/model"
)

// large is a mesh of n services with 20 routes each, every one of which is
// called by the one before it.
func large(n int) *model.Mesh {
	m := &model.Mesh{TrustDomain: "td"}
	for i := range n {
		s := &model.Service{
			Ref: model.Ref{Namespace: "shop", Name: fmt.Sprintf("s%05d", i)}, Host: fmt.Sprintf("s%05d.shop.svc.cluster.local", i),
			SPIFFEID: fmt.Sprintf("spiffe://td/ns/shop/sa/s%05d", i), MTLS: model.MTLSStrict,
			Ports: []model.Port{{Name: "http", Number: 8080, Protocol: model.HTTP}}, Versions: []model.Version{{Name: "v1"}, {Name: "v2"}},
			Allow: []model.Rule{{Principals: []string{fmt.Sprintf("spiffe://td/ns/shop/sa/s%05d", (i+n-1)%n)}}},
			Uses:  []model.Ref{{Namespace: "shop", Name: fmt.Sprintf("s%05d", (i+1)%n)}},
		}
		for j := range 20 {
			r := &model.Route{Name: fmt.Sprint("r", j), Ports: []uint16{8080}, Split: []model.Split{{Version: "v1", BasisPoints: 9000}, {Version: "v2", BasisPoints: 1000}}}
			r.Match = []model.Match{{Paths: []model.PathMatch{{Kind: model.SegmentPrefix, Value: fmt.Sprintf("/team-%d/item-%d", j%5, j)}}}}
			if j%4 == 0 {
				r.Match[0].Headers = []model.NamedMatch{{Name: "x-canary", Kind: model.Exact, Value: "true"}}
			}
			s.Routes = append(s.Routes, r)
		}
		m.Services = append(m.Services, s)
	}
	return m
}

// moved is the mesh with other weights at some services.
func moved(m *model.Mesh, some func(i int) bool) *model.Mesh {
	out := &model.Mesh{TrustDomain: m.TrustDomain, Services: slices.Clone(m.Services)}
	for i, s := range out.Services {
		if some(i) {
			changed, route := *s, *s.Routes[7]
			route.Split = []model.Split{{Version: "v1", BasisPoints: 5000}, {Version: "v2", BasisPoints: 5000}}
			changed.Routes = slices.Clone(s.Routes)
			changed.Routes[7] = &route
			out.Services[i] = &changed
		}
	}
	return out
}

func TestUnchangedServicesAreSkipped(t *testing.T) {
	before, after := large(50), moved(large(50), func(i int) bool { return i == 20 })
	r := behave.Meshes(before, after)
	if r.Total != 50 || r.Compared != 1 || len(r.Objects) != 1 || !slices.Equal(r.Classes(), []behave.Class{behave.Shift}) {
		t.Errorf("%+v", r)
	}
}

// BenchmarkDiff compares two meshes that share nothing in memory.
func BenchmarkDiff(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000} {
		before := large(n)
		for name, some := range map[string]func(int) bool{"one": func(i int) bool { return i == n/2 }, "all": func(int) bool { return true }} {
			if name == "all" && n > 1000 {
				continue
			}
			after := moved(large(n), some)
			b.Run(fmt.Sprintf("%d services, %s changed", n, name), func(b *testing.B) {
				for b.Loop() {
					if r := behave.Meshes(before, after); r.Equal() || r.Unknown() {
						b.Fatal(r)
					}
				}
			})
		}
	}
}
