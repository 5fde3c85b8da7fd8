package behave

import (
	"slices"

	"github.com/meshc/meshc/compiler/model"
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
	Classes []Class // the most serious first
	Origin  [2]model.Origin
	Through []model.Ref // services and gateways whose requests lead here by way of its callers
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

// Meshes compares two meshes.
func Meshes(before, after *model.Mesh) *Report {
	m := &meshes{before: before, after: after, calls: callGraph(before, after), raw: rawsOf(before, after), out: &Report{}}
	changed := map[model.Ref]bool{}
	for _, ref := range refs(before.Services, after.Services, func(s *model.Service) model.Ref { return s.Ref }) {
		old, now := before.Service(ref), after.Service(ref)
		changed[ref] = !sameAsWritten(old, now)
		m.object(Name{ServiceKind, ref}, changed[ref] || m.calls.differ(ref), places(old, now, func(s *model.Service) model.Origin { return s.Origin }), func(callers []Caller) *Difference {
			return Services(old, now, callers)
		})
	}
	for _, ref := range refs(before.Externals, after.Externals, func(e *model.External) model.Ref { return e.Ref }) {
		old, now := before.External(ref), after.External(ref)
		m.object(Name{ExternalKind, ref}, !sameAsWritten(old, now) || m.calls.differ(ref), places(old, now, func(e *model.External) model.Origin { return e.Origin }), func(callers []Caller) *Difference {
			return Externals(old, now, callers)
		})
	}
	for _, ref := range refs(before.Gateways, after.Gateways, func(g *model.Gateway) model.Ref { return g.Ref }) {
		old, now := before.Gateway(ref), after.Gateway(ref)
		differs := !sameAsWritten(old, now) || leadsTo(old, changed) || leadsTo(now, changed)
		m.object(Name{GatewayKind, ref}, differs, places(old, now, func(g *model.Gateway) model.Origin { return g.Origin }), func([]Caller) *Difference {
			return Gateways(before, after, ref)
		})
	}
	return m.out
}

type meshes struct {
	before, after *model.Mesh
	calls         *calls
	raw           *raws
	out           *Report
}

// object compares one, if it may behave differently at all.
func (m *meshes) object(name Name, differs bool, at [2]model.Origin, compare func([]Caller) *Difference) {
	m.out.Total++
	if !differs && !m.raw.changed(name) {
		return
	}
	m.out.Compared++
	d := compare(m.calls.callers(name.Ref))
	d.Unknown = append(d.Unknown, m.raw.unknown(name)...)
	if name.Kind != GatewayKind {
		m.calls.declared(name.Ref, d, m.before, m.after)
	}
	m.out.Regions += d.Regions
	m.out.Differ += d.Differ
	if len(d.Changes) == 0 && len(d.Unknown) == 0 {
		m.out.Same = append(m.out.Same, name)
		return
	}
	o := Object{Name: name, Difference: *d, Origin: at}
	var affected []model.Ref
	for _, c := range d.Changes {
		o.Classes = append(o.Classes, c.Classes...)
		affected = append(affected, c.Callers...)
	}
	o.Classes = distinct(o.Classes)
	o.Through = m.calls.above(affected)
	m.out.Objects = append(m.out.Objects, o)
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
