package behave

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// Fingerprint of what an object of m does: equal behaviour has an equal one,
// whatever the order, the files and the spelling, and another behaviour has
// another one. It is hexadecimal. An object that does not exist answers
// nothing, on no port. What others it leads to or asks are called is no part of
// it: their hosts are. An error is a reach.Unknown. What becomes of a request on
// its way is part of it as it is written (Meshes tells more there).
func Fingerprint(m *model.Mesh, name Name) (string, error) {
	ports := map[uint16]bool{}
	var on func(port uint16) table
	m, name.Ref = byHosts(m, name)
	switch name.Kind {
	case ServiceKind:
		s := m.Service(name.Ref)
		servicePorts(s, ports)
		on = func(port uint16) table { return serviceTable(s, port) }
	case ExternalKind:
		e := m.External(name.Ref)
		externalPorts(e, ports)
		on = func(port uint16) table { return externalTable(e, port) }
	case GatewayKind:
		g := m.Gateway(name.Ref)
		gatewayPorts(g, ports)
		on = func(port uint16) table { return gatewayTable(m, g, port) }
	default:
		return "", fmt.Errorf("there is no kind %q of objects", name.Kind)
	}
	sum := sha256.New()
	for _, port := range sortedKeys(ports) {
		digest, err := on(port).digest()
		if err != nil {
			return "", fmt.Errorf("%s %s, port %d: %w", name.Kind, name.Ref, port, err)
		}
		sum.Write(binary.BigEndian.AppendUint16(nil, port))
		sum.Write(digest[:])
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// byHosts is the object and the services behind it, in a mesh of their own in which
// a service or external is called as clients ask for it; and what the object is
// called there.
func byHosts(m *model.Mesh, name Name) (*model.Mesh, model.Ref) {
	n := &naming{hosts: func(ref model.Ref) model.Ref {
		e, ok := entryOf(m, ref)
		if !ok || len(e.ports) == 0 {
			return ref
		}
		return model.Ref{Name: fmt.Sprintf("%s:%d", e.host, e.ports[0].Number)}
	}}
	out := &model.Mesh{Name: m.Name, TrustDomain: m.TrustDomain, Aliases: m.Aliases}
	switch s, e, g := m.Service(name.Ref), m.External(name.Ref), m.Gateway(name.Ref); {
	case name.Kind == ServiceKind && s != nil:
		out.Services = []*model.Service{s}
	case name.Kind == ExternalKind && e != nil:
		out.Externals = []*model.External{e}
	case name.Kind == GatewayKind && g != nil:
		out.Gateways = []*model.Gateway{g}
		for _, ref := range backends(g) {
			if s := m.Service(ref); s != nil {
				out.Services = append(out.Services, s)
			}
		}
	}
	return n.mesh(out), n.at(name.Ref, 0)
}

func (t table) digest() ([sha256.Size]byte, error) {
	var when []reach.Pred
	var then []int
	var keys []string
	numbers := map[string]int{}
	number := func(o *Outcome) int {
		key := o.key()
		n, ok := numbers[key]
		if !ok {
			n = len(keys)
			numbers[key] = n
			keys = append(keys, key)
		}
		return n
	}
	for _, r := range t.rules {
		when, then = append(when, r.when), append(then, number(r.then))
	}
	return reach.Digest(reach.DefaultLimits, when, then, number(t.otherwise), keys)
}
