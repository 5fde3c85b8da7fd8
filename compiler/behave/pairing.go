package behave

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/model"
)

// Pairing is two meshes in which what clients ask for by the same host and port
// has the same name: that of the second. What an entry is called is nothing that a
// request could tell. An entry of which only some ports are called otherwise in the
// other mesh is several, each with its ports.
type Pairing struct {
	Before, After *model.Mesh

	shown   map[model.Ref]model.Ref // names that nobody has written → those that somebody has
	was     map[model.Ref]model.Ref // names in either mesh → what they were before, where it is something else
	callers map[model.Ref]model.Ref // names in Before → those as callers, where it is something else
}

// Pair joins services and externals by host and port, and gateways by ports and
// hosts where their names differ. What is left over is joined by its name, and
// services then by their identity, so that nothing becomes new by being moved:
// whoever judges a change asks this. Meshes does not, because clients that ask for
// the old host get no answer.
func Pair(before, after *model.Mesh) *Pairing { return pairUp(before, after, true) }

// Shown is the name that a user knows for one in either mesh.
func (p *Pairing) Shown(ref model.Ref) model.Ref { return renamedIn(p.shown, ref) }

// Was is what the user called it before, if that was something else.
func (p *Pairing) Was(ref model.Ref) (model.Ref, bool) {
	was, ok := p.was[ref]
	return was, ok
}

func renamedIn(names map[model.Ref]model.Ref, ref model.Ref) model.Ref {
	if to, ok := names[ref]; ok {
		return to
	}
	return ref
}

// hostPort is what a client asks for.
type hostPort struct {
	host string
	port uint16
}

// entry is a service or an external.
type entry struct {
	ref   model.Ref
	host  string
	ports []model.Port
	id    string // of a service
}

func entryOf(m *model.Mesh, ref model.Ref) (entry, bool) {
	if s := m.Service(ref); s != nil {
		return ofService(s), true
	}
	if e := m.External(ref); e != nil {
		return ofExternal(e), true
	}
	return entry{}, false
}

func ofService(s *model.Service) entry   { return entry{s.Ref, s.Host, s.Ports, s.SPIFFEID} }
func ofExternal(e *model.External) entry { return entry{e.Ref, e.Host, e.Ports, ""} }

func eachEntry(m *model.Mesh, visit func(entry)) {
	for _, s := range m.Services {
		visit(ofService(s))
	}
	for _, e := range m.Externals {
		visit(ofExternal(e))
	}
}

// pairing makes a Pairing.
type pairing struct {
	before, after *model.Mesh
	byName        bool
	joints        []*joint
	of            [2]map[model.Ref][]*joint // by the names before and after
	gateways      map[model.Ref]model.Ref   // before → after
	identities    map[string][]model.Ref    // of services after
	out           *Pairing
}

// joint is the ports of an entry before that an entry after has.
type joint struct {
	names [2]model.Ref
	ports []uint16
	key   model.Ref
}

func pairUp(before, after *model.Mesh, byName bool) *Pairing {
	p := &pairing{before: before, after: after, byName: byName, out: &Pairing{Before: before, After: after}}
	p.gateways = pairedGateways(before, after)
	if len(p.gateways) == 0 && (!anyMissing(before, after) || !anyMissing(after, before)) {
		return p.out
	}
	p.identities = map[string][]model.Ref{}
	for _, s := range after.Services {
		p.identities[s.SPIFFEID] = append(p.identities[s.SPIFFEID], s.Ref)
	}
	p.byAddress()
	p.rest()
	p.name()
	return p.out
}

// anyMissing says that a host and port of one mesh is none, or another entry's, in
// the other.
func anyMissing(one, other *model.Mesh) bool {
	missing := func(host string, ports []model.Port, otherHost string, otherPorts []model.Port) bool {
		return host != otherHost || slices.ContainsFunc(ports, func(p model.Port) bool {
			return !slices.ContainsFunc(otherPorts, func(o model.Port) bool { return o.Number == p.Number })
		})
	}
	for _, s := range paired(one.Services, other.Services, func(s *model.Service) model.Ref { return s.Ref }) {
		if s.old != nil && s.old != s.now && (s.now == nil || missing(s.old.Host, s.old.Ports, s.now.Host, s.now.Ports)) {
			return true
		}
	}
	for _, e := range paired(one.Externals, other.Externals, func(e *model.External) model.Ref { return e.Ref }) {
		if e.old != nil && e.old != e.now && (e.now == nil || missing(e.old.Host, e.old.Ports, e.now.Host, e.now.Ports)) {
			return true
		}
	}
	return false
}

func (p *pairing) join(before, after model.Ref) *joint {
	for _, g := range p.of[0][before] {
		if g.names[1] == after {
			return g
		}
	}
	g := &joint{names: [2]model.Ref{before, after}}
	p.joints = append(p.joints, g)
	p.of[0][before] = append(p.of[0][before], g)
	p.of[1][after] = append(p.of[1][after], g)
	return g
}

func (p *pairing) byAddress() {
	p.of = [2]map[model.Ref][]*joint{{}, {}}
	owners := map[hostPort]model.Ref{}
	eachEntry(p.after, func(e entry) {
		for _, port := range e.ports {
			owners[hostPort{e.host, port.Number}] = e.ref
		}
	})
	eachEntry(p.before, func(e entry) {
		for _, port := range e.ports {
			if owner, ok := owners[hostPort{e.host, port.Number}]; ok {
				g := p.join(e.ref, owner)
				g.ports = append(g.ports, port.Number)
			}
		}
	})
}

// rest joins entries that have no host and port in common with another one: those
// of one name and host, and by name or identity alone where that is asked for.
func (p *pairing) rest() {
	free := func(side int, ref model.Ref) bool { return len(p.of[side][ref]) == 0 }
	eachEntry(p.before, func(e entry) {
		now, ok := entryOf(p.after, e.ref)
		if ok && free(0, e.ref) && free(1, e.ref) && (p.byName || now.host == e.host) {
			p.join(e.ref, e.ref)
		}
	})
	if !p.byName {
		return
	}
	ids := [2]map[string][]model.Ref{{}, {}}
	for side, m := range []*model.Mesh{p.before, p.after} {
		for _, s := range m.Services {
			if free(side, s.Ref) {
				ids[side][s.SPIFFEID] = append(ids[side][s.SPIFFEID], s.Ref)
			}
		}
	}
	for _, id := range sortedKeys(ids[0]) {
		if was, is := ids[0][id], ids[1][id]; len(was) == 1 && len(is) == 1 {
			p.join(was[0], is[0])
		}
	}
}

// mainOf some joints is the one that the name goes with: the one that has it on both sides, or
// that of the lowest port.
func mainOf(groups []*joint) *joint {
	for _, g := range groups {
		if g.names[0] == g.names[1] {
			return g
		}
	}
	best := groups[0]
	for _, g := range groups[1:] {
		if len(g.ports) > 0 && (len(best.ports) == 0 || g.ports[0] < best.ports[0]) {
			best = g
		}
	}
	return best
}

// name gives every entry its name in both meshes, and writes these.
func (p *pairing) name() {
	out := p.out
	out.shown, out.was = map[model.Ref]model.Ref{}, map[model.Ref]model.Ref{}
	for _, g := range p.joints {
		g.key = g.names[1]
		if mainOf(p.of[1][g.names[1]]) != g {
			g.key.Name = fmt.Sprintf("%s:%d", g.key.Name, g.ports[0])
			out.shown[g.key] = g.names[1]
		}
		if g.names[0] != g.names[1] {
			out.was[g.key] = g.names[0]
		}
	}
	taken := map[model.Ref]bool{}
	eachEntry(p.after, func(e entry) { taken[e.ref] = true })
	for _, g := range p.after.Gateways {
		taken[g.Ref] = true
	}
	pieces := [2]map[model.Ref][]piece{{}, {}}
	own := func(ref model.Ref, apart string) []piece {
		key := ref
		if taken[ref] {
			key.Name = fmt.Sprintf("%s (%s)", ref.Name, apart)
			out.shown[key] = ref
		}
		return []piece{{key: key}}
	}
	eachEntry(p.before, func(e entry) {
		if len(p.of[0][e.ref]) == 0 {
			pieces[0][e.ref] = own(e.ref, e.host+" before")
		} else {
			pieces[0][e.ref] = piecesOf(e, p.of[0][e.ref])
		}
	})
	for _, g := range p.before.Gateways {
		if now, ok := p.gateways[g.Ref]; ok {
			pieces[0][g.Ref] = []piece{{key: now}}
			out.was[now] = g.Ref
		} else if p.after.Gateway(g.Ref) == nil {
			pieces[0][g.Ref] = own(g.Ref, "gateway before")
		}
	}
	eachEntry(p.after, func(e entry) { pieces[1][e.ref] = piecesOf(e, p.of[1][e.ref]) })
	out.callers = map[model.Ref]model.Ref{}
	for _, s := range p.before.Services {
		if key, as := pieces[0][s.Ref][0].key, p.callerAs(s.Ref, pieces[0]); key != as {
			out.callers[key] = as
		}
	}
	out.Before = (&naming{pieces: pieces[0], caller: func(ref model.Ref) model.Ref { return p.callerAs(ref, pieces[0]) }}).mesh(p.before)
	out.After = (&naming{pieces: pieces[1]}).mesh(p.after)
}

// callerAs is what a service or gateway is called as a caller: whoever has its
// identity after. Others know it by that, and not by its host.
func (p *pairing) callerAs(ref model.Ref, pieces map[model.Ref][]piece) model.Ref {
	key := ref
	if list := pieces[ref]; len(list) > 0 {
		key = list[0].key
	}
	s := p.before.Service(ref)
	if s == nil {
		return key
	}
	is := p.identities[s.SPIFFEID]
	switch {
	case slices.Contains(is, key):
		return key
	case slices.Contains(is, ref):
		return ref
	case len(is) == 1:
		return is[0]
	}
	return key
}

// piecesOf an entry by the groups that it is in; ports of no group go with the main
// one, which comes first.
func piecesOf(e entry, groups []*joint) []piece {
	if len(groups) == 0 {
		return []piece{{key: e.ref}}
	}
	first := mainOf(groups)
	out := []piece{{key: first.key}}
	for _, g := range groups {
		if g != first {
			out = append(out, piece{g.key, g.ports})
		}
	}
	for _, port := range e.ports {
		if !slices.ContainsFunc(out[1:], func(o piece) bool { return slices.Contains(o.ports, port.Number) }) {
			out[0].ports = append(out[0].ports, port.Number)
		}
	}
	return out
}

// pairedGateways are those whose names differ: each of them opens a door that only
// the other one opens, and where that leaves a choice, they have one identity.
func pairedGateways(before, after *model.Mesh) map[model.Ref]model.Ref {
	gone, come := gatewaysBut(before, after), gatewaysBut(after, before)
	if len(gone) == 0 || len(come) == 0 {
		return nil
	}
	out := map[model.Ref]model.Ref{}
	pick := func(alike func(a, b *model.Gateway) bool) {
		for _, g := range gone {
			now := only(come, func(o *model.Gateway) bool { return alike(g, o) })
			if now != nil && only(gone, func(o *model.Gateway) bool { return alike(o, now) }) == g {
				out[g.Ref] = now.Ref
			}
		}
		gone = slices.DeleteFunc(gone, func(g *model.Gateway) bool { _, ok := out[g.Ref]; return ok })
		come = slices.DeleteFunc(come, func(g *model.Gateway) bool {
			for _, to := range out {
				if to == g.Ref {
					return true
				}
			}
			return false
		})
	}
	same := func(a, b *model.Gateway) bool { return a.SPIFFEID == b.SPIFFEID && a.Egress == b.Egress }
	pick(func(a, b *model.Gateway) bool { return same(a, b) && (a.Egress || shareDoor(a, b)) })
	pick(shareDoor)
	return out
}

func gatewaysBut(m, other *model.Mesh) []*model.Gateway {
	var out []*model.Gateway
	for _, g := range m.Gateways {
		if other.Gateway(g.Ref) == nil {
			out = append(out, g)
		}
	}
	return out
}

// only is the one for which f holds; nil for none and for several.
func only[T any](list []*T, f func(*T) bool) *T {
	var out *T
	for _, v := range list {
		switch {
		case !f(v):
		case out != nil:
			return nil
		default:
			out = v
		}
	}
	return out
}

// shareDoor says that two gateways take requests for one host on one port.
func shareDoor(a, b *model.Gateway) bool {
	for i := range a.Listeners {
		l := listenerOn(b, a.Listeners[i].Port)
		if l == nil {
			continue
		}
		for _, h := range hostsOf(&a.Listeners[i]) {
			if slices.ContainsFunc(hostsOf(l), func(o string) bool { return model.HostCovers(h, o) || model.HostCovers(o, h) }) {
				return true
			}
		}
	}
	return false
}

func hostsOf(l *model.GatewayListener) []string {
	return append(mapped(l.Hosts, func(h model.GatewayHost) string { return strings.ToLower(h.Host) }), l.RedirectHosts...)
}
