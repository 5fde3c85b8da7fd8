package behave

import (
	"slices"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/parallel"
)

// Kind of an object of a mesh.
type Kind string

// Kinds.
const (
	ServiceKind  Kind = "service"
	GatewayKind  Kind = "gateway"
	ExternalKind Kind = "external"
)

// Report is the difference of two meshes in behaviour.
type Report struct {
	Objects  []Object // that behave differently, or of which it is not known
	Same     []Name   // that are written differently and behave the same
	Total    int      // objects of either mesh
	Compared int      // of them not the same as written
	Regions  int      // sets of requests that were compared
	Differ   int      // of them treated differently

	was map[Name]model.Ref
}

// Was is what an object was called before, where that was something else.
func (r *Report) Was(n Name) (model.Ref, bool) {
	ref, ok := r.was[n]
	return ref, ok
}

// Name of an object.
type Name struct {
	Kind Kind
	Ref  model.Ref
}

// Object is what changes about one.
type Object struct {
	Name
	Difference
	Was     model.Ref // what it was called before, where that was something else
	Classes []Class   // the most serious first
	Origin  [2]model.Origin

	calls *calls
}

// Through are the services and gateways whose requests lead here by way of the
// callers affected. They are looked up each time: together, those of all objects are
// as many as the square of the mesh.
func (o *Object) Through() []model.Ref {
	var affected []model.Ref
	for _, c := range o.Changes {
		affected = append(affected, c.Callers...)
	}
	if len(affected) == 0 {
		return nil
	}
	return o.calls.above(affected)
}

// Equal says that no request is treated differently, and that this is known.
func (r *Report) Equal() bool { return len(r.Objects) == 0 }

// Unknown says that of some requests it could not be told.
func (r *Report) Unknown() bool {
	return slices.ContainsFunc(r.Objects, func(o Object) bool { return len(o.Unknown) > 0 })
}

// Classes of all changes, the most serious first.
func (r *Report) Classes() []Class {
	var out []Class
	for _, o := range r.Objects {
		out = append(out, o.Classes...)
	}
	return distinct(out)
}

// Meshes compares two meshes. Services and externals are compared by what a
// client asks for, which is a host and a port; names are none of it.
func Meshes(before, after *model.Mesh) *Report {
	pairs := pairUp(before, after, false)
	before, after = pairs.Before, pairs.After
	m := &meshes{pairs: pairs, before: before, after: after, calls: callGraph(pairs), raw: rawsOf(before, after), out: &Report{was: map[Name]model.Ref{}}}
	services := paired(before.Services, after.Services, func(s *model.Service) model.Ref { return s.Ref })
	changed := map[model.Ref]bool{}
	for _, s := range services {
		if !sameAsWritten(s.old, s.now) {
			changed[s.ref] = true
			m.calls.changed(s.old, s.now)
		}
	}
	for _, s := range services {
		if s.old == nil && before.External(s.ref) != nil || s.now == nil && after.External(s.ref) != nil {
			m.moved(s.ref)
			continue
		}
		m.object(Name{ServiceKind, s.ref}, changed[s.ref] || m.calls.differ(s.ref), func() *Object {
			return m.compared(Services(s.old, s.now, m.calls.callers(s.ref)), places(s.old, s.now, func(s *model.Service) model.Origin { return s.Origin }))
		})
	}
	for _, e := range paired(before.Externals, after.Externals, func(e *model.External) model.Ref { return e.Ref }) {
		if before.Service(e.ref) != nil || after.Service(e.ref) != nil {
			continue // moved
		}
		m.object(Name{ExternalKind, e.ref}, !sameAsWritten(e.old, e.now) || m.calls.differ(e.ref), func() *Object {
			return m.compared(Externals(e.old, e.now, m.calls.callers(e.ref)), places(e.old, e.now, func(e *model.External) model.Origin { return e.Origin }))
		})
	}
	for _, g := range paired(before.Gateways, after.Gateways, func(g *model.Gateway) model.Ref { return g.Ref }) {
		differs := !sameAsWritten(g.old, g.now) || leadsTo(g.old, changed) || leadsTo(g.now, changed)
		m.object(Name{GatewayKind, g.ref}, differs, func() *Object {
			return m.compared(Gateways(before, after, g.ref), places(g.old, g.now, func(g *model.Gateway) model.Origin { return g.Origin }))
		})
	}
	m.compare()
	return m.out
}

// moved notes what was a service and is an external, or the other way round.
func (m *meshes) moved(ref model.Ref) {
	kind := ServiceKind
	if m.after.External(ref) != nil {
		kind = ExternalKind
	}
	m.object(Name{kind, ref}, true, func() *Object {
		return m.compared(entries(m.before, m.after, ref, m.calls.callers(ref)), [2]model.Origin{originOf(m.before, ref), originOf(m.after, ref)})
	})
}

func originOf(m *model.Mesh, ref model.Ref) model.Origin {
	if e := m.External(ref); e != nil {
		return e.Origin
	}
	return serviceAt(m, ref)
}

type meshes struct {
	pairs         *Pairing
	before, after *model.Mesh
	calls         *calls
	raw           *raws
	work          []comparing
	out           *Report
}

// comparing is an object that may behave differently.
type comparing struct {
	name    Name
	compare func() *Object
}

// object notes one; differs says that it may behave differently.
func (m *meshes) object(name Name, differs bool, compare func() *Object) {
	m.out.Total++
	if _, renamed := m.pairs.Was(name.Ref); differs || renamed || m.raw.changed(name) {
		m.work = append(m.work, comparing{name, compare})
	}
}

func (m *meshes) compared(d *Difference, at [2]model.Origin) *Object {
	return &Object{Difference: *d, Origin: at, calls: m.calls}
}

// compare looks at all that was noted, on every processor.
func (m *meshes) compare() {
	m.out.Compared = len(m.work)
	objects := make([]*Object, len(m.work))
	of := map[model.Ref]bool{}
	for _, w := range m.work {
		of[w.name.Ref] = true
	}
	m.calls.read(of)
	parallel.Each(len(m.work), func(i int) {
		name := m.work[i].name
		o := m.work[i].compare()
		o.Name = Name{name.Kind, m.pairs.Shown(name.Ref)}
		o.Was, _ = m.pairs.Was(name.Ref)
		o.Unknown = append(o.Unknown, m.raw.unknown(name)...)
		if name.Kind != GatewayKind {
			m.calls.declared(name.Ref, &o.Difference, m.before, m.after)
		}
		for _, c := range o.Changes {
			o.Classes = append(o.Classes, c.Classes...)
		}
		o.Classes = distinct(o.Classes)
		objects[i] = o
	})
	for _, o := range objects {
		m.out.Regions += o.Regions
		m.out.Differ += o.Differ
		if o.Was != (model.Ref{}) {
			m.out.was[o.Name] = o.Was
		}
		if len(o.Changes) == 0 && len(o.Unknown) == 0 {
			if !slices.Contains(m.out.Same[max(0, len(m.out.Same)-8):], o.Name) {
				m.out.Same = append(m.out.Same, o.Name)
			}
			continue
		}
		m.out.Objects = append(m.out.Objects, *o)
	}
}

// pair is an object in both meshes, nil where it does not exist.
type pair[T any] struct {
	ref      model.Ref
	old, now *T
}

// paired joins two lists that are sorted by name.
func paired[T any](old, now []*T, ref func(*T) model.Ref) []pair[T] {
	out := make([]pair[T], 0, max(len(old), len(now)))
	for len(old)+len(now) > 0 {
		order := 0
		switch {
		case len(now) == 0:
			order = -1
		case len(old) == 0:
			order = 1
		default:
			order = ref(old[0]).Compare(ref(now[0]))
		}
		var p pair[T]
		if order <= 0 {
			p.ref, p.old, old = ref(old[0]), old[0], old[1:]
		}
		if order >= 0 {
			p.ref, p.now, now = ref(now[0]), now[0], now[1:]
		}
		out = append(out, p)
	}
	return out
}

// refs of the objects of either list.
func refs[T any](a, b []T, ref func(T) model.Ref) []model.Ref {
	out := append(mapped(a, ref), mapped(b, ref)...)
	slices.SortFunc(out, model.Ref.Compare)
	return slices.Compact(out)
}

// leadsTo says that a gateway has a route to one of these services.
func leadsTo(g *model.Gateway, services map[model.Ref]bool) bool {
	for _, ref := range backends(g) {
		if services[ref] {
			return true
		}
	}
	return false
}

// backends are the services behind a gateway, sorted; none for nil.
func backends(g *model.Gateway) []model.Ref {
	if g == nil {
		return nil
	}
	var out []model.Ref
	for _, l := range g.Listeners {
		for _, h := range l.Hosts {
			for _, r := range h.Routes {
				if !r.Itself() {
					out = append(out, r.Service)
				}
			}
		}
	}
	slices.SortFunc(out, model.Ref.Compare)
	return slices.Compact(out)
}

// places of an object in both meshes.
func places[T any](old, now *T, at func(*T) model.Origin) [2]model.Origin {
	var out [2]model.Origin
	if old != nil {
		out[0] = at(old)
	}
	if now != nil {
		out[1] = at(now)
	}
	return out
}
