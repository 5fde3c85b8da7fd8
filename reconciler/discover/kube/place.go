package kube

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/reconciler/discover"
)

// state is what a cluster has, as far as it has been seen. What it gives is not to
// be changed; nil is what there is not.
type state interface {
	service(model.Ref) *service
	slices(model.Ref) []*slice
	pod(namespace, name string) *pod
	node(name string) *node
	failing(kind string) bool // its watch does not get through
}

// placement is one look at a cluster for a mesh.
type placement struct {
	mesh   *model.Mesh
	state  state
	memory *memory

	out    []*model.Workload
	pods   map[*model.Workload]*pod
	known  map[model.Ref][]*instance
	unseen map[model.Ref][]string    // pods of ready endpoints that were not seen
	spare  map[model.Ref][]*instance // what was behind a Service with unseen pods before
	faults map[string]bool
}

// place gives the workloads of a mesh as a cluster has them, by node id, and what
// could not be used, each in a sentence that names the object. What is wrong with one
// object says nothing of others: they are placed.
func place(m *model.Mesh, s state, before *memory) ([]*model.Workload, []string) {
	p := &placement{
		mesh: m, state: s, memory: before, pods: map[*model.Workload]*pod{}, known: map[model.Ref][]*instance{},
		unseen: map[model.Ref][]string{}, spare: map[model.Ref][]*instance{}, faults: map[string]bool{},
	}
	for _, s := range m.Services {
		p.placeService(s)
	}
	for _, g := range m.Gateways {
		p.placeGateway(g)
	}
	p.settle()
	faults := make([]string, 0, len(p.faults))
	for f := range p.faults {
		faults = append(faults, f)
	}
	slices.Sort(faults)
	return p.out, faults
}

func (p *placement) fault(format string, args ...any) {
	p.faults[fmt.Errorf(format, args...).Error()] = true
}

// behind are the Service of a service or gateway and the pods behind it.
func (p *placement) behind(ref model.Ref) (*service, []*instance) {
	s := p.state.service(ref)
	switch {
	case s == nil:
		p.fault("there is no Service %s", ref)
		return nil, nil
	case s.external:
		p.fault("Service %s is of type ExternalName: nothing of the mesh is behind it", ref)
		return nil, nil
	}
	list, seen := p.known[ref]
	if !seen {
		list = p.instances(ref)
		p.known[ref] = list
	}
	return s, list
}

// portName is the name of the port with a number in a Service.
func (s *service) portName(number uint16) (name string, found bool) {
	i := slices.IndexFunc(s.ports, func(p servicePort) bool { return p.number == number })
	if i < 0 {
		return "", false
	}
	return s.ports[i].name, true
}

func (p *placement) placeService(s *model.Service) {
	kube, list := p.behind(s.Ref)
	if kube == nil {
		return
	}
	for _, port := range s.Ports {
		if _, found := kube.portName(port.Number); !found {
			p.fault("Service %s has no TCP port %d, which the mesh declares as %q", s.Ref, port.Number, port.Name)
		}
	}
	var calls map[string][]string
	if role := p.mesh.RoleOf(s); role == model.RoleSidecar && len(list) > 0 {
		calls = p.calls(s)
	}
	byVersion := map[string][]*draining{}
	for _, x := range list {
		if w := p.placeInstance(s, kube, x, calls); w != nil {
			byVersion[w.Version] = append(byVersion[w.Version], &draining{w, x.terminating && x.serving})
		}
	}
	for _, all := range byVersion {
		drain(all)
	}
	for _, x := range p.spare[s.Ref] {
		version, ours := p.versionOf(s, p.mesh.RoleOf(s), x)
		if ours && !slices.ContainsFunc(byVersion[version], func(d *draining) bool { return d.Ready }) {
			p.placeInstance(s, kube, x, calls)
		}
	}
}

// placeInstance places one pod behind a service; nil where it is not the service's.
func (p *placement) placeInstance(s *model.Service, kube *service, x *instance, calls map[string][]string) *model.Workload {
	role := p.mesh.RoleOf(s)
	version, ours := p.versionOf(s, role, x)
	if !ours {
		return nil
	}
	w := &model.Workload{ID: x.pod.Name, Role: role, Service: s.Ref, Version: version, Locality: p.place(x), Ready: x.ready && !x.terminating}
	if role == model.RoleSidecar {
		w.App, w.Capture = map[uint16]string{}, &model.Capture{Outbound: calls}
		for _, a := range x.addresses {
			w.Capture.Addresses = append(w.Capture.Addresses, a.String())
		}
	}
	p.placePorts(s, kube, x, w)
	p.add(w, x.pod)
	return w
}

// draining is a workload, and whether it still serves while it ends.
type draining struct {
	*model.Workload
	serves bool
}

// drain has instances that end but still serve take requests where no other of the
// version does, as kube-proxy has it.
func drain(all []*draining) {
	if slices.ContainsFunc(all, func(d *draining) bool { return d.Ready }) {
		return
	}
	for _, d := range all {
		d.Ready = d.serves
	}
}

// versionOf gives the version of a pod behind a service, and whether the pod is the
// service's at all.
func (p *placement) versionOf(s *model.Service, role model.Role, x *instance) (string, bool) {
	ref := s.Namespace + "/" + x.pod.Name
	injected := x.pod.Annotations[InjectedKey]
	owner, _, _ := strings.Cut(injected, "/")
	switch {
	case role == model.RoleSidecar && injected == "":
		if p.mesh.Gateway(s.Ref) == nil {
			p.fault("pod %s: Service %s selects it, and it has no proxy (annotation %s)", ref, s.Name, InjectedKey)
		}
		return "", false
	case role == model.RoleSidecar && owner != s.Name:
		p.fault("pod %s: Service %s selects it, and its proxy is that of service %q", ref, s.Name, owner)
		return "", false
	case role == model.RoleGRPC && injected != "":
		p.fault("pod %s: it has a proxy (annotation %s), and applications of service %s read xDS themselves", ref, InjectedKey, s.Name)
		return "", false
	}
	if named := x.pod.Labels[ServiceLabel]; named != "" && named != s.Name {
		return "", false // it says itself whose it is
	}
	var found []string
	for _, v := range s.Versions {
		if within(v.Labels, x.pod.Labels) {
			found = append(found, v.Name)
		}
	}
	switch len(found) {
	case 1:
		return found[0], true
	case 0:
		p.fault("pod %s: it has the labels of no version of service %s", ref, s.Name)
	default:
		p.fault("pod %s: it has the labels of versions %s of service %s", ref, strings.Join(found, " and "), s.Name)
	}
	return "", false
}

// within says that all of some labels are among others.
func within(some, others map[string]string) bool {
	for name, v := range some {
		if got, found := others[name]; !found || got != v {
			return false
		}
	}
	return true
}

// placePorts says where peers reach each port of the service and where its
// application has it.
func (p *placement) placePorts(s *model.Service, kube *service, x *instance, w *model.Workload) {
	w.Inbound = map[uint16]string{}
	taken := map[uint16]bool{}
	for _, port := range s.Ports {
		name, found := kube.portName(port.Number)
		if !found {
			continue
		}
		target := x.target(name)
		if target == 0 {
			p.fault("EndpointSlice %s/%s: it has no number for port %q of Service %s", s.Namespace, x.slice, name, s.Name)
			continue
		}
		at := target
		if w.Role == model.RoleSidecar {
			if at = free(taken, s, target, port.Number); at == 0 {
				p.fault("pod %s/%s: port %d of service %s has no port of its own by which the proxy could tell it apart", s.Namespace, x.pod.Name, port.Number, s.Name)
				continue
			}
			taken[at] = true
			w.App[port.Number] = netip.AddrPortFrom(loopback(x), target).String()
		}
		w.Inbound[port.Number] = netip.AddrPortFrom(x.primary(), at).String()
	}
}

// free picks the port at which peers call a captured pod, of which the proxy takes
// every port: the one that the application has, so that clients without a mesh are
// taken to the same place, else that of the Service. Two ports of a Service may lead
// to one of the application; 0 is for none that is left.
func free(taken map[uint16]bool, s *model.Service, ports ...uint16) uint16 {
	own := []uint16{model.CaptureInboundPort, model.CaptureOutboundPort, model.HealthPort}
	for _, n := range ports {
		if !taken[n] && !slices.Contains(own, n) && !slices.Contains(s.Injection.ExcludeInbound, n) {
			return n
		}
	}
	return 0
}

// loopback is where the proxy of a pod calls the application.
func loopback(x *instance) netip.Addr {
	if x.primary().Is4() {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.IPv6Loopback()
}

// calls are the addresses at which the applications of a service call what it uses.
// An address is of one thing: what comes second has none.
func (p *placement) calls(s *model.Service) map[string][]string {
	out := map[string][]string{}
	owner := map[string]string{}
	for _, used := range s.Uses {
		to := p.mesh.Service(used)
		if to == nil {
			continue // an external is known by its name
		}
		kube, list := p.behind(used)
		if kube == nil {
			continue
		}
		for _, port := range to.Ports {
			key := model.OutboundKey(used, port.Number)
			for _, at := range p.calledAt(kube, list, port.Number) {
				if first, twice := owner[at]; twice && first != key {
					p.fault("%s is the address of %s and of %s; service %s reaches the first there", at, first, key, s.Ref)
					continue
				}
				owner[at] = key
				out[key] = append(out[key], at)
			}
		}
	}
	return out
}

// calledAt are the addresses of one port of a Service: its own, or those of its pods
// where it has none.
func (p *placement) calledAt(s *service, list []*instance, number uint16) []string {
	name, found := s.portName(number)
	if !found {
		return nil
	}
	var out []string
	for _, ip := range s.clusterIPs {
		if a, err := netip.ParseAddr(ip); err == nil && usable(a) {
			out = append(out, netip.AddrPortFrom(a, number).String())
		}
	}
	if len(s.clusterIPs) == 0 {
		for _, x := range list {
			if to := x.target(name); to != 0 {
				for _, a := range x.addresses {
					out = append(out, netip.AddrPortFrom(a, to).String())
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (p *placement) placeGateway(g *model.Gateway) {
	kube, list := p.behind(g.Ref)
	if kube == nil {
		return
	}
	ports := []uint16{model.EgressPort}
	if !g.Egress {
		ports = nil
		for i := range g.Listeners {
			ports = append(ports, g.Listeners[i].Port)
		}
	}
	for _, port := range ports {
		if _, found := kube.portName(port); !found {
			p.fault("Service %s has no TCP port %d, which the gateway opens", g.Ref, port)
		}
	}
	for _, x := range list {
		if x.pod.Annotations[InjectedKey] != "" {
			if p.mesh.Service(g.Ref) == nil {
				p.fault("pod %s/%s: Service %s selects it for a gateway, and it has the proxy of a service", g.Namespace, x.pod.Name, g.Name)
			}
			continue
		}
		w := &model.Workload{
			ID: x.pod.Name, Role: model.RoleGateway, Service: g.Ref, Locality: p.place(x), Ready: x.ready && !x.terminating, Inbound: map[uint16]string{},
		}
		for _, port := range ports {
			name, found := kube.portName(port)
			if to := x.target(name); found && to != 0 {
				w.Inbound[port] = netip.AddrPortFrom(x.primary(), to).String()
			}
		}
		p.add(w, x.pod)
	}
}

func (p *placement) add(w *model.Workload, of *pod) {
	p.out = append(p.out, w)
	p.pods[w] = of
}

// settle leaves out what could not be emitted, and what would keep others from it.
func (p *placement) settle() {
	p.out = slices.DeleteFunc(p.out, func(w *model.Workload) bool {
		errs := discover.Check(w)
		for _, err := range errs {
			p.fault("pod %s/%s: %w", w.Service.Namespace, w.ID, err)
		}
		return len(errs) > 0
	})
	slices.SortFunc(p.out, func(a, b *model.Workload) int {
		return cmp.Or(strings.Compare(a.NodeID(), b.NodeID()), strings.Compare(a.Service.Name, b.Service.Name))
	})
	p.once()
	p.apart()
}

// once leaves out pods that are of two services.
func (p *placement) once() {
	count := map[string][]*model.Workload{}
	for _, w := range p.out {
		count[w.NodeID()] = append(count[w.NodeID()], w)
	}
	p.out = slices.DeleteFunc(p.out, func(w *model.Workload) bool {
		all := count[w.NodeID()]
		if len(all) > 1 {
			p.fault("pod %s/%s: Services %s and %s select it; its label %s has to name the one whose it is",
				w.Service.Namespace, w.ID, all[0].Service.Name, all[1].Service.Name, ServiceLabel)
		}
		return len(all) > 1
	})
}

// apart has one of two pods of a namespace that are at one address take no requests:
// the older one, which is gone while its slice does not say so yet. Of pods of two
// namespaces both count: whoever may write the slices of one namespace takes nothing
// from another.
func (p *placement) apart() {
	type spot struct{ namespace, address string }
	at := map[spot]*model.Workload{}
	of := map[string]*model.Workload{} // by address, the first of all namespaces
	for _, w := range p.out {
		for _, port := range sortedPorts(w) {
			if !w.Ready {
				break
			}
			address := w.Inbound[port]
			if other := of[address]; other == nil || !other.Ready {
				of[address] = w
			} else if other.Service.Namespace != w.Service.Namespace {
				p.fault("pods %s/%s and %s/%s of two namespaces are both at %s; both count", other.Service.Namespace, other.ID, w.Service.Namespace, w.ID, address)
			}
			here := spot{w.Service.Namespace, address}
			first := at[here]
			if first == nil || first == w || !first.Ready {
				at[here] = w
				continue
			}
			older, newer := first, w
			if p.pods[older].CreationTimestamp.After(p.pods[newer].CreationTimestamp.Time) {
				older, newer = newer, older
			}
			older.Ready, at[here] = false, newer
			p.fault("pods %s/%s and %s/%s are both at %s; the newer one counts", first.Service.Namespace, first.ID, w.Service.Namespace, w.ID, address)
		}
	}
}

func sortedPorts(w *model.Workload) []uint16 {
	out := make([]uint16, 0, len(w.Inbound))
	for n := range w.Inbound {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}
