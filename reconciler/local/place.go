package local

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/model"
)

// Placement is where everything of a mesh runs on this machine. No workload in
// it is Ready: that is for who runs it to find out.
type Placement struct {
	Workloads []*model.Workload
	Apps      []App
	// Problems are entries of local.yaml that the mesh does not know, and
	// versions and gateways of the mesh that it has no entry for; they are
	// reported and left out.
	Problems []string

	named map[string]bool // versions and gateways that have an entry
}

// App is one application process.
type App struct {
	Name    string // unique on this machine
	Node    string // id of the node beside it
	Command []string
	Env     []string // KEY=value, expanded
}

// Place gives every application and gateway of c its addresses. Entries that
// name something m does not have become Problems: a commit may be ahead of
// local.yaml or behind it.
func Place(m *model.Mesh, c *Config, a *Alloc) (*Placement, error) {
	p := &Placement{named: map[string]bool{}}
	for i := range c.Apps {
		if err := p.placeApp(m, &c.Apps[i], a); err != nil {
			return nil, err
		}
	}
	for i := range c.Gateways {
		p.placeGateway(m, &c.Gateways[i])
	}
	p.unnamed(m)
	slices.SortFunc(p.Workloads, func(x, y *model.Workload) int { return cmp.Compare(x.NodeID(), y.NodeID()) })
	return p, nil
}

// unnamed finds what nothing runs of, which may be meant, and is hardly ever when
// it gets requests.
func (p *Placement) unnamed(m *model.Mesh) {
	for _, s := range m.Services {
		for _, v := range s.Versions {
			if !p.named[versionName(s.Ref, v.Name)] {
				p.problem("nothing runs version %q of service %q: apps has no entry for it", v.Name, s.Ref)
			}
		}
	}
	for _, g := range m.Gateways {
		if !p.named[gatewayName(g.Ref)] {
			p.problem("nothing runs gateway %q: gateways has no entry for it", g.Ref)
		}
	}
}

func versionName(service model.Ref, version string) string {
	return "version " + version + " of " + service.String()
}

func gatewayName(gateway model.Ref) string { return "gateway " + gateway.String() }

func (p *Placement) problem(format string, args ...any) {
	p.Problems = append(p.Problems, FileName+": "+fmt.Sprintf(format, args...))
}

// find gives what local.yaml names as "name" or "namespace/name". What there is
// none of, or more than one, becomes a problem.
func find[T any](p *Placement, kind, written string, list []T, ref func(T) model.Ref) (found T, ok bool) {
	var hits []T
	for _, x := range list {
		if r := ref(x); written == r.Name || written == r.String() {
			hits = append(hits, x)
		}
	}
	switch len(hits) {
	case 1:
		return hits[0], true
	case 0:
		p.problem("the mesh has no %s %q", kind, written)
	default:
		p.problem("%s %q is in several namespaces: write %s or %s", kind, written, ref(hits[0]), ref(hits[1]))
	}
	return found, false
}

// has says whether a workload of this node id is placed already: "a" version
// "b-c" and "a-b" version "c" make the same one.
func (p *Placement) has(node string) bool {
	return slices.ContainsFunc(p.Workloads, func(w *model.Workload) bool { return w.NodeID() == node })
}

func (p *Placement) placeApp(m *model.Mesh, app *AppConfig, a *Alloc) error {
	svc, ok := find(p, "service", app.Service, m.Services, func(s *model.Service) model.Ref { return s.Ref })
	if !ok {
		return nil
	}
	if !slices.ContainsFunc(svc.Versions, func(v model.Version) bool { return v.Name == app.Version }) {
		p.problem("service %q has no version %q", svc.Ref, app.Version)
		return nil
	}
	p.named[versionName(svc.Ref, app.Version)] = true
	if why := unrunnable(m, svc); why != "" {
		p.problem("%s", why)
		return nil
	}
	for n := range app.replicas() {
		w, err := placeReplica(svc, app, n, m, a)
		if err != nil {
			return err
		}
		if p.has(w.NodeID()) {
			p.problem("service %q version %q: another workload is called %s as well", svc.Ref, app.Version, w.NodeID())
			return nil
		}
		x := &expander{vars: variables(m, svc, w)}
		p.Apps = append(p.Apps, App{Name: localName(w), Node: w.NodeID(), Env: x.env(app.Env), Command: x.all(app.Command)})
		p.Workloads = append(p.Workloads, w)
		for _, name := range x.missing {
			p.problem("%s: ${%s} is not set; does service %q declare the dependency in uses?", w.ID, name, svc.Ref)
		}
	}
	return nil
}

// unrunnable says why nothing here can stand beside a service, or "".
func unrunnable(m *model.Mesh, svc *model.Service) string {
	if m.RoleOf(svc) == model.RoleGRPC {
		return fmt.Sprintf("service %q speaks and uses grpc alone, so its application reads xDS itself, and gets no bootstrap here", svc.Ref)
	}
	if svc.Envoy {
		return fmt.Sprintf("service %q asks for Envoy, and meshc-proxy alone is run here", svc.Ref)
	}
	return ""
}

// localName is a workload's id, with its namespace in front where that is not
// the default one: a name for files and people. Names in a mesh have no dots.
func localName(w *model.Workload) string {
	if w.Service.Namespace == "default" {
		return w.ID
	}
	return w.Service.Namespace + "." + w.ID
}

func placeReplica(svc *model.Service, app *AppConfig, n int, m *model.Mesh, a *Alloc) (*model.Workload, error) {
	w := &model.Workload{
		ID: fmt.Sprintf("%s-%s-%d", svc.Name, app.Version, n), Role: model.RoleSidecar,
		Service: svc.Ref, Version: app.Version,
		Inbound: map[uint16]string{}, App: map[uint16]string{}, Outbound: map[string]string{},
	}
	in, err1 := a.Addr("in " + w.NodeID())
	to, err2 := a.Addr("app " + w.NodeID())
	if err := cmp.Or(err1, err2); err != nil {
		return nil, err
	}
	for _, port := range svc.Ports {
		w.Inbound[port.Number] = at(in, port.Number)
		w.App[port.Number] = at(to, port.Number)
	}
	for _, dep := range dependencies(m, svc) {
		ip, err := a.Addr("out " + w.NodeID() + " " + dep.ref.String())
		if err != nil {
			return nil, err
		}
		for _, port := range dep.ports {
			w.Outbound[model.OutboundKey(dep.ref, port.Number)] = at(ip, port.Number)
		}
	}
	return w, nil
}

func at(ip netip.Addr, port uint16) string { return netip.AddrPortFrom(ip, port).String() }

type dependency struct {
	ref   model.Ref
	ports []model.Port
}

// dependencies are the services and externals that svc uses, with their ports.
func dependencies(m *model.Mesh, svc *model.Service) []dependency {
	var out []dependency
	for _, ref := range svc.Uses {
		for _, s := range m.Services {
			if s.Ref == ref {
				out = append(out, dependency{ref, s.Ports})
			}
		}
		for _, e := range m.Externals {
			if e.Ref == ref {
				out = append(out, dependency{ref, e.Ports})
			}
		}
	}
	return out
}

func (p *Placement) placeGateway(m *model.Mesh, g *GatewayEntry) {
	gw, ok := find(p, "gateway", g.Name, m.Gateways, func(x *model.Gateway) model.Ref { return x.Ref })
	if !ok {
		return
	}
	p.named[gatewayName(gw.Ref)] = true
	if gw.Envoy {
		p.problem("gateway %q asks for Envoy, and meshc-proxy alone is run here", gw.Ref)
		return
	}
	w := &model.Workload{
		ID: gw.Name + "-0", Role: model.RoleGateway, Service: gw.Ref, Inbound: map[uint16]string{},
	}
	for _, port := range gatewayPorts(gw) {
		addr, ok := g.Listen[strconv.Itoa(int(port))]
		if !ok {
			addr = at(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
		}
		w.Inbound[port] = addr
	}
	for _, port := range slices.Sorted(maps.Keys(g.Listen)) {
		if n, err := strconv.Atoi(port); err == nil && w.Inbound[uint16(n)] == "" {
			p.problem("gateway %q has no port %s", gw.Ref, port)
		}
	}
	p.Workloads = append(p.Workloads, w)
}

// gatewayPorts are those that a gateway listens on.
func gatewayPorts(g *model.Gateway) []uint16 {
	if g.Egress {
		return []uint16{model.EgressPort}
	}
	var out []uint16
	for _, l := range g.Listeners {
		out = append(out, l.Port)
	}
	return out
}

// expander fills in the ${…} of local.yaml: first the addresses that meshc
// gives, then the environment of meshc itself. Names that neither knows are
// noted in missing.
type expander struct {
	vars    map[string]string
	missing []string
}

func (x *expander) get(name string) string {
	if s, ok := x.vars[name]; ok {
		return s
	}
	s, ok := os.LookupEnv(name)
	if !ok && !slices.Contains(x.missing, name) {
		x.missing = append(x.missing, name)
	}
	return s
}

func (x *expander) all(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = os.Expand(s, x.get)
	}
	return out
}

func (x *expander) env(env map[string]string) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(env)) {
		out = append(out, k+"="+os.Expand(env[k], x.get))
	}
	return out
}

func variables(m *model.Mesh, svc *model.Service, w *model.Workload) map[string]string {
	v := map[string]string{}
	for _, port := range svc.Ports {
		v["LISTEN_"+envName(port.Name)] = w.App[port.Number]
	}
	for _, dep := range dependencies(m, svc) {
		for _, port := range dep.ports {
			addr := w.Outbound[model.OutboundKey(dep.ref, port.Number)]
			v["ADDR_"+envName(dep.ref.Namespace+"_"+dep.ref.Name+"_"+port.Name)] = addr
			if dep.ref.Namespace == svc.Namespace {
				v["ADDR_"+envName(dep.ref.Name+"_"+port.Name)] = addr
			}
		}
	}
	return v
}

// envName makes a name fit for an environment variable.
func envName(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		default:
			return '_'
		}
	}, s)
}
