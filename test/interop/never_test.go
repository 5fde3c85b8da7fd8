package interop

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/model"
)

// startNever brings testdata/never up: two instances of each version of each
// service, and a sidecar and a gateway of meshc-proxy that everybody goes by.
func startNever(t *testing.T) (*bed, ways) {
	t.Helper()
	b, at := placeNever(t)
	b.run()
	return b, at
}

// placeNever does all of it but start the proxies.
func placeNever(t *testing.T) (*bed, ways) {
	t.Helper()
	b := newBed(t, compileFS(t, os.DirFS("testdata/never")))
	for _, v := range []string{"v1", "v2"} {
		for i := range 2 {
			b.application(ref("pages"), v, fmt.Sprintf("pages-%s-%d", v, i), b.backends.start(t, "pages/"+v, nil))
			b.application(ref("calls"), v, fmt.Sprintf("calls-%s-%d", v, i), serveCalls(t))
			b.application(ref("bytes"), v, fmt.Sprintf("bytes-%s-%d", v, i), echo(t, nil))
		}
	}
	b.sidecar(ref("web"), "v1", meshc, "")
	b.gateway(ref("edge"), meshc)
	out := b.placed["web-meshc"].Outbound
	at := func(service string) string { return out[model.OutboundKey(ref(service), meshPort)] }
	return b, ways{h1: at("pages"), h2: b.placed["edge-meshc"].Inbound[8080], grpc: at("calls"), tcp: at("bytes")}
}

// split is the mesh with the traffic of its two-version services split anew, also
// at the gateway; what it shares with mesh stays as it is.
func split(mesh *model.Mesh, anew func() []model.Split) *model.Mesh {
	out := *mesh
	out.Services, out.Gateways = nil, nil
	two := func(r model.Ref) bool { return len(mesh.Service(r).Versions) == 2 }
	route := func(r *model.Route) *model.Route {
		next := *r
		next.Split = anew()
		return &next
	}
	for _, s := range mesh.Services {
		next := *s
		next.Routes = slices.Clone(s.Routes)
		for i, r := range s.Routes {
			if two(s.Ref) {
				next.Routes[i] = route(r)
			}
		}
		out.Services = append(out.Services, &next)
	}
	for _, g := range mesh.Gateways {
		next := *g
		next.Listeners = slices.Clone(g.Listeners)
		for i, l := range g.Listeners {
			next.Listeners[i].Hosts = slices.Clone(l.Hosts)
			for j, h := range l.Hosts {
				routes := slices.Clone(h.Routes)
				for k, r := range routes {
					changed := *r
					if two(r.Service) {
						changed.Route = route(r.Route)
					}
					routes[k] = &changed
				}
				next.Listeners[i].Hosts[j].Routes = routes
			}
		}
		out.Gateways = append(out.Gateways, &next)
	}
	return &out
}

// weights draws a split of two versions.
func weights(rng *rand.Rand) []model.Split {
	const whole = model.BasisPointsWhole
	share := []uint32{0, 1, whole / 2, whole - 1, whole, rng.Uint32N(whole)}[rng.IntN(6)]
	return slices.DeleteFunc([]model.Split{{Version: "v1", BasisPoints: share}, {Version: "v2", BasisPoints: whole - share}}, func(s model.Split) bool { return s.BasisPoints == 0 })
}

// Weights change every 100 ms, five minutes long with MESHC_SOAK: nobody notices.
func TestWeightsChangeUnderLoad(t *testing.T) {
	b, at := startNever(t)
	users := startCrowd(t, at)
	rng := rand.New(rand.NewPCG(1, 100))
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	count, commit := scale(60, 3000), ""
	for range count {
		<-tick.C
		commit = b.plane.set(split(b.mesh, func() []model.Split { return weights(rng) }), b.workloads)
	}
	b.plane.programmed(commit, b.all()...)
	users.end(t)
	t.Logf("%d changes of weights", count)
}

// Services, with their listeners, clusters and endpoints, come and go by fives,
// and so do versions that all traffic goes to: 500 times with MESHC_SOAK.
func TestTopologyChangesUnderLoad(t *testing.T) {
	b, at := startNever(t)
	extra := b.backends.start(t, "extra", nil)
	users := startCrowd(t, at)
	rng := rand.New(rand.NewPCG(1, 101))
	places := newPlaces(t, 5)
	count := scale(10, 500)
	for n := range count {
		mesh, workloads := b.changed(rng, n, extra, places)
		b.plane.programmed(b.plane.set(mesh, workloads), b.all()...)
	}
	users.end(t)
	t.Logf("%d changes of services, versions, listeners and endpoints", count)
}

func newPlaces(t *testing.T, n int) (out []string) {
	for range n {
		out = append(out, newPlace(t))
	}
	return out
}

// changed is a mesh with some of the extra services, and with versions of the
// others that there were not before, which all traffic goes to, on instances that
// are no other's.
func (b *bed) changed(rng *rand.Rand, n int, extra string, places []string) (*model.Mesh, []*model.Workload) {
	version := fmt.Sprintf("n%d", n)
	mesh := split(b.mesh, func() []model.Split { return []model.Split{{Version: version, BasisPoints: model.BasisPointsWhole}} })
	var workloads []*model.Workload
	for _, s := range mesh.Services {
		if len(s.Versions) == 2 {
			s.Versions = []model.Version{{Name: version}}
		}
	}
	for _, w := range b.workloads {
		if _, manned := b.manned[w.ID]; manned {
			next := *w
			workloads = append(workloads, &next)
		} else if rng.IntN(4) > 0 || w.ID[len(w.ID)-1] == '0' {
			next := *w
			next.ID, next.Version = fmt.Sprintf("%s-%d", w.ID, n), version
			workloads = append(workloads, &next)
		}
	}
	return mesh, b.extras(rng, n, mesh, workloads, extra, places)
}

// extras has web call some of the extra services, which are at the address extra, by
// places of its own; and gives the workloads with theirs.
func (b *bed) extras(rng *rand.Rand, n int, mesh *model.Mesh, workloads []*model.Workload, extra string, places []string) []*model.Workload {
	web, caller := mesh.Service(ref("web")), workloads[slices.IndexFunc(workloads, func(w *model.Workload) bool { return w.Service == ref("web") })]
	uses, outbound := slices.Clone(web.Uses), map[string]string{}
	for k, v := range caller.Outbound {
		outbound[k] = v
	}
	for i := range places {
		if rng.IntN(2) == 0 {
			continue
		}
		r := ref(fmt.Sprintf("extra%d", i))
		uses = append(uses, r)
		outbound[model.OutboundKey(r, meshPort)] = places[i]
		workloads = append(workloads, &model.Workload{ID: fmt.Sprintf("extra%d-%d", i, n), Role: model.RoleSidecar, Service: r, Version: "v1", Ready: true,
			Inbound: map[uint16]string{meshPort: extra}, App: map[uint16]string{meshPort: extra}})
	}
	slices.SortFunc(uses, model.Ref.Compare)
	web.Uses, caller.Outbound = uses, outbound
	return workloads
}
