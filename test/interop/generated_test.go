package interop

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/testdata/genmesh/gen"
)

// A prober that uses everything, and the gateway, are led through meshes that
// have nothing in common but their names: after each change both data planes
// route drawn requests as the model of that mesh says, and Envoy has refused
// nothing.
func TestGenerated(t *testing.T) {
	b := newBed(t, &model.Mesh{Name: "empty", TrustDomain: domain})
	g := &generated{bed: b, at: map[string]string{}, outbound: map[string]string{}, inbound: map[uint16]string{}}
	seed := uint64(0)
	for range scale(8, 200) {
		mesh := g.next(&seed)
		t.Run(fmt.Sprintf("seed %d", seed-1), func(t *testing.T) { g.check(t, mesh, seed-1) })
		if t.Failed() {
			break
		}
	}
	for _, x := range b.all() {
		x.refusedNothing()
	}
}

// generated keeps what stays the same from mesh to mesh.
type generated struct {
	*bed
	at       map[string]string // applications, by how they are reached
	outbound map[string]string // listeners of the probers, by kind and key
	inbound  map[uint16]string
}

var (
	probe   = model.Ref{Namespace: "probe", Name: "probe"}
	marker  = model.Ref{Namespace: "probe", Name: "marker"}
	ingress = model.Ref{Namespace: "shop", Name: "ingress"}
)

const (
	markerHost = "marker.test"
	markPath   = "/-/mark"
)

// next gives the next mesh that has a gateway and the tests' trust domain.
func (g *generated) next(seed *uint64) *model.Mesh {
	for {
		drawn := gen.Mesh(*seed)
		*seed++
		if slices.Contains(drawn.Constructs, "gateway") && !slices.Contains(drawn.Constructs, "trustDomain") {
			mesh := compileFS(g.t, drawn.FS())
			g.adapt(mesh, fmt.Sprint(*seed))
			return mesh
		}
	}
}

// adapt adds the prober and a service that says which mesh is in force, and
// makes delays short.
func (g *generated) adapt(m *model.Mesh, mark string) {
	everything := model.Route{Name: "mark", Ports: []uint16{meshPort}, Split: []model.Split{{Version: "v1", BasisPoints: model.BasisPointsWhole}}}
	everything.ResponseHeaders.Set = []model.Header{{Name: "x-mark", Value: mark}}
	service := func(r model.Ref) *model.Service {
		return &model.Service{
			Ref: r, Host: r.Name + ".probe.svc.cluster.local", ServiceAccount: r.Name, SPIFFEID: model.SPIFFEID(domain, r.Namespace, r.Name),
			Versions: []model.Version{{Name: "v1"}}, MTLS: model.MTLSDisable,
		}
	}
	p, k := service(probe), service(marker)
	k.Ports, k.Routes = []model.Port{{Name: "http", Number: meshPort, Protocol: model.HTTP}}, []*model.Route{&everything}
	m.Services = append(m.Services, p, k)
	slices.SortFunc(m.Services, func(a, b *model.Service) int { return a.Ref.Compare(b.Ref) })
	for _, s := range m.Services {
		if s == p {
			continue
		}
		p.Uses = append(p.Uses, s.Ref)
		shorten(s.Routes)
		if s != k {
			s.Routes = append([]*model.Route{markOf(s, mark)}, s.Routes...)
		}
	}
	for _, x := range m.Externals {
		p.Uses = append(p.Uses, x.Ref)
		x.Endpoints = []string{g.application("external", nil)}
	}
	slices.SortFunc(p.Uses, model.Ref.Compare)
	edge := m.Gateway(ingress)
	// The others have no address here, nor anybody who holds their certificates.
	edge.Listeners = slices.DeleteFunc(edge.Listeners, func(l model.GatewayListener) bool { return l.Port != 8080 })
	l := &edge.Listeners[0]
	for _, h := range l.Hosts {
		for _, r := range h.Routes {
			shorten([]*model.Route{r.Route})
		}
	}
	l.Hosts = append(l.Hosts, model.GatewayHost{Host: markerHost, Routes: []*model.GatewayRoute{{Name: "mark/mark", Service: marker, Port: meshPort, Route: &everything}}})
	slices.SortFunc(l.Hosts, func(a, b model.GatewayHost) int { return model.CompareHosts(a.Host, b.Host) })
}

// markOf is a route by which a service's route table says which mesh it is of.
func markOf(s *model.Service, mark string) *model.Route {
	r := &model.Route{
		Name: "mark", Match: []model.Match{{Paths: []model.PathMatch{{Kind: model.Exact, Value: markPath}}}},
		Split: []model.Split{{Version: s.Versions[0].Name, BasisPoints: model.BasisPointsWhole}},
	}
	for _, p := range s.Ports {
		r.Ports = append(r.Ports, p.Number)
	}
	r.ResponseHeaders.Set = []model.Header{{Name: "x-mark", Value: mark}}
	return r
}

func shorten(routes []*model.Route) {
	for _, r := range routes {
		if r.Delay != nil {
			r.Delay.Fixed = 10 * time.Millisecond
		}
	}
}

// application gives the address of an application that is reached so; it is
// started when it is first needed.
func (g *generated) application(name string, config *tls.Config) string {
	mode := "plain"
	if config != nil {
		mode = "mtls"
	}
	if g.at[name+mode] == "" {
		g.at[name+mode] = g.backends.start(g.t, name, config)
	}
	return g.at[name+mode]
}

// deploy places every version of the mesh, the probers and the gateways.
func (g *generated) deploy(m *model.Mesh) []*model.Workload {
	var out []*model.Workload
	for _, s := range m.Services {
		if s.Ref == probe {
			continue
		}
		for _, v := range s.Versions {
			w := &model.Workload{ID: s.Name + "-" + v.Name, Role: model.RoleSidecar, Service: s.Ref, Version: v.Name, Ready: true, Inbound: map[uint16]string{}, App: map[uint16]string{}}
			for _, p := range s.Ports {
				var config *tls.Config
				if p.MTLS != model.MTLSDisable && (p.MTLS != "" || s.MTLS != model.MTLSDisable) {
					config = g.plane.mutual(s.SPIFFEID)
				}
				at := g.application(s.Ref.String()+"/"+v.Name, config)
				w.Inbound[p.Number], w.App[p.Number] = at, at
			}
			out = append(out, w)
		}
	}
	for _, k := range kinds {
		w := &model.Workload{ID: "probe-" + string(k), Role: model.RoleSidecar, Service: probe, Version: "v1", Ready: true, Outbound: map[string]string{}}
		for _, u := range m.Service(probe).Uses {
			for _, p := range portsOf(m, u) {
				w.Outbound[model.OutboundKey(u, p.Number)] = g.place(k, model.OutboundKey(u, p.Number))
			}
		}
		gw := &model.Workload{ID: "ingress-" + string(k), Role: model.RoleGateway, Service: ingress, Ready: true, Inbound: map[uint16]string{8080: g.place(k, "gateway")}}
		out = append(out, w, gw)
	}
	return out
}

func portsOf(m *model.Mesh, r model.Ref) []model.Port {
	if s := m.Service(r); s != nil {
		return s.Ports
	}
	return m.External(r).Ports
}

func (g *generated) place(k kind, name string) string {
	id := string(k) + " " + name
	if g.outbound[id] == "" {
		g.outbound[id] = newPlace(g.t)
	}
	return g.outbound[id]
}

func (g *generated) check(t *testing.T, m *model.Mesh, seed uint64) {
	workloads := g.deploy(m)
	commit := g.plane.set(m, workloads)
	if len(g.proxies) == 0 {
		for _, w := range workloads {
			name, which, _ := strings.Cut(w.ID, "-")
			if name == probe.Name || name == ingress.Name {
				g.proxies[w.ID] = g.plane.startProxy(kind(which), w, model.SPIFFEID(domain, w.Service.Namespace, w.Service.Name))
			}
		}
	}
	g.plane.programmed(commit, g.all()...)
	for _, k := range kinds {
		for _, s := range m.Services {
			for _, p := range s.Ports {
				g.marked(t, g.place(k, model.OutboundKey(s.Ref, p.Number)), fmt.Sprint(seed+1))
			}
		}
		g.marked(t, g.place(k, "gateway"), fmt.Sprint(seed+1))
	}
	var asks []ask
	for _, s := range m.Services {
		for _, p := range s.Ports {
			asks = append(asks, g.toService(m, s, p.Number, seed)...)
		}
	}
	asks = append(asks, g.toGateway(m, seed)...)
	for i := range asks {
		asks[i].id = int(seed)*1000 + i
	}
	g.sendAll(t, asks)
}

// marked waits until the route table behind addr is of the mesh with this
// mark: a proxy acknowledges a configuration a moment before it is in force.
func (g *generated) marked(t *testing.T, addr, mark string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		res := send(addr, nil, &request{host: markerHost, target: markPath}, "mark")
		if slices.Equal(res.Header["x-mark"], []string{mark}) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s answers %+v, not with mark %s", addr, res, mark)
		}
	}
}

const perService = 6

func (g *generated) toService(m *model.Mesh, s *model.Service, port uint16, seed uint64) []ask {
	d := newDrawer(seed, s.Routes)
	asks, at := make([]ask, perService), g.places(model.OutboundKey(s.Ref, port))
	for i := range asks {
		r := d.request()
		asks[i] = ask{request: r, through: g.both("probe"), at: at}
		asks[i].want = modelRoute(m, probe, asked(&r, s.Host, port))
	}
	return asks
}

func (g *generated) places(name string) map[kind]string {
	return map[kind]string{envoy: g.place(envoy, name), meshc: g.place(meshc, name)}
}

func (g *generated) toGateway(m *model.Mesh, seed uint64) []ask {
	var routes []*model.Route
	for _, h := range m.Gateway(ingress).Listeners[0].Hosts {
		for _, r := range h.Routes {
			routes = append(routes, r.Route)
		}
	}
	d := newDrawer(seed, routes)
	names := []string{"shop.example.com", "www.example.org", "a.b.example.com", "example.com", "other"}
	asks, at := make([]ask, 5*perService), g.places("gateway")
	for i := range asks {
		r := d.request()
		r.host = d.one(names)
		asks[i] = ask{request: r, through: g.both("ingress"), at: at}
		asks[i].want = modelRoute(m, ingress, asked(&r, r.host, 8080))
	}
	return asks
}
