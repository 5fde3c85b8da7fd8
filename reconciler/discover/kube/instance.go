package kube

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/meshc/meshc/compiler/model"
)

// instance is a pod of a Service, by all of its slices.
type instance struct {
	pod         *pod
	addresses   []netip.Addr // one of each family, IPv4 first
	ready       bool
	serving     bool
	terminating bool
	node        string
	zone        string
	ports       []slicePort
	slice       string // of its ports
}

// instances are the pods behind the Service of that name, by name, without those
// that cannot be used; see unempty for pods that were not seen. Slices may overlap while an endpoint moves from one to
// another; a pod that is known to end anywhere does, and else one word for it is
// enough.
func (p *placement) instances(ref model.Ref) []*instance {
	byPod := map[string]*instance{}
	all := slices.Clone(p.state.slices(ref))
	slices.SortFunc(all, func(a, b *slice) int { return cmp.Compare(a.Name, b.Name) })
	for _, s := range all {
		if s.fqdn {
			p.fault("EndpointSlice %s/%s: its addresses are names; name what they lead to as an external", s.Namespace, s.Name)
			continue
		}
		for i := range s.endpoints {
			p.merge(byPod, ref, s, &s.endpoints[i])
		}
	}
	out := make([]*instance, 0, len(byPod))
	for _, x := range byPod {
		if x.pod.DeletionTimestamp != nil {
			x.terminating = true
		}
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b *instance) int { return cmp.Compare(a.pod.Name, b.pod.Name) })
	return p.unempty(ref, out)
}

// merge adds what a slice says of one endpoint.
func (p *placement) merge(byPod map[string]*instance, ref model.Ref, s *slice, e *endpoint) {
	addr, err := netip.ParseAddr(e.address)
	switch {
	case err != nil || !usable(addr):
		p.fault("EndpointSlice %s/%s: address %q cannot be that of a pod", s.Namespace, s.Name, e.address)
		return
	case e.pod == "":
		p.fault("EndpointSlice %s/%s: %s is of no pod of the namespace; name it as an external", s.Namespace, s.Name, e.address)
		return
	}
	x := byPod[e.pod]
	if x == nil {
		found := p.find(ref, s, e)
		if found == nil {
			// It is gone, or has not been seen yet: the watches are not in step.
			return
		}
		x = &instance{pod: found, node: e.node, zone: e.zone, ports: s.ports, slice: s.Name}
		byPod[e.pod] = x
	}
	x.ready, x.serving, x.terminating = x.ready || e.ready, x.serving || e.serving, x.terminating || e.terminating
	x.node, x.zone = cmp.Or(x.node, e.node), cmp.Or(x.zone, e.zone)
	i := slices.IndexFunc(x.addresses, func(a netip.Addr) bool { return a.Is4() == addr.Is4() })
	switch {
	case i < 0:
		x.addresses = append(x.addresses, addr)
		slices.SortFunc(x.addresses, netip.Addr.Compare)
	case x.addresses[i] != addr:
		p.fault("EndpointSlice %s/%s: pod %s is at %s, and at %s by another slice", s.Namespace, s.Name, e.pod, addr, x.addresses[i])
	}
}

// usable says whether a proxy may be told to connect to an address.
func usable(a netip.Addr) bool {
	return !a.Is4In6() && a.Zone() == "" && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() && !a.IsLinkLocalUnicast()
}

// target is the port of the pod behind a port of its Service; 0 where there is none.
func (x *instance) target(name string) uint16 {
	for _, p := range x.ports {
		if p.name == name {
			return p.number
		}
	}
	return 0
}

// primary is the address where peers reach the pod.
func (x *instance) primary() netip.Addr { return x.addresses[0] }

// place is where a pod runs: the zone as the slice says, the region as the node.
func (p *placement) place(x *instance) model.Locality {
	var at model.Locality
	if n := p.state.node(x.node); n != nil {
		at = n.place
	}
	at.Zone = cmp.Or(x.zone, at.Zone)
	switch {
	case at.Zone != "" && at.Region == "":
		p.fault("zone %q: the label topology.kubernetes.io/region of its nodes does not say in which region it lies; its endpoints count as of no place", at.Zone)
		return model.Locality{}
	case at.Validate() != nil:
		p.fault("zone %q: %w; its endpoints count as of no place", at.Zone, at.Validate())
		return model.Locality{}
	}
	return at
}
