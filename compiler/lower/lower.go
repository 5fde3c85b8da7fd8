// Package lower turns intent into the model: names resolved, defaults filled,
// lists in their final order. It takes intent that check.Intent has found free
// of errors and panics on literals that check refuses, because that is a bug
// of the compiler and not of the user. What it reports itself is what only the
// order of routes and the meeting of conditions bring to light.
package lower

import (
	"slices"
	"time"

	"github.com/meshc/meshc/compiler/changed"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// Built-in defaults; their Origin in the model is the zero range.
const (
	DefaultMeshName = "mesh"
	DefaultTimeout  = 15 * time.Second
	// DefaultRoute is the route of a service that writes none.
	DefaultRoute    = "default"
	DefaultAttempts = 2
	// DefaultRateLimitedMax is the longest pause that a server is granted.
	DefaultRateLimitedMax = 300 * time.Second
)

// Options of lowering.
type Options struct {
	// Name of the mesh where mesh.name is not written; "" means DefaultMeshName.
	Name string
}

// lowering is one run: what is known so far, handed from step to step. The lists
// of the model are in the order of intent until they are sorted.
type lowering struct {
	opts     Options
	intent   *intent.Mesh
	scope    *scope.Scope
	mesh     *model.Mesh
	index    map[model.Ref]int      // of services
	calledBy map[model.Ref][]string // by service: identities that declare to call it
	reads    *changed.Reads
	diags    diag.List
	found    map[int32]diag.List // by unit; nil: nobody wants to know
}

// Mesh lowers m. The model is complete also when the list holds errors, but
// then the order of some routes is a guess and nothing may be built from it.
func Mesh(m *intent.Mesh, opts Options) (*model.Mesh, diag.List) {
	l := &lowering{opts: opts, intent: m, scope: scope.New(m)}
	l.all()
	l.diags.Sort()
	return l.sorted(), l.diags
}

// all lowers everything. Routes need the ports and versions of all services,
// callers their routes, and gateways what services have become.
func (l *lowering) all() {
	l.mesh = &model.Mesh{
		Services:  make([]*model.Service, len(l.intent.Services)),
		Gateways:  make([]*model.Gateway, len(l.intent.Gateways)),
		Externals: make([]*model.External, len(l.intent.Externals)),
	}
	l.index = make(map[model.Ref]int, len(l.intent.Services))
	for i, s := range l.intent.Services {
		l.index[scope.ServiceRef(s)] = i
	}
	l.config() // mesh name and trust domain: identities need them
	for i := range l.mesh.Services {
		l.unit(i, l.service) // names, hosts, identities, ports, versions, uses
	}
	for i := range l.mesh.Externals {
		l.unit(l.externalUnit(i), func(int) { l.external(i) }) // what lies outside the mesh
	}
	for i := range l.mesh.Services {
		l.unit(i, l.routes) // rules in match order, with defaults; needs ports and versions
		l.unit(i, l.faults) // attached to the routes that they name
	}
	l.calledBy = l.callers()
	for i := range l.mesh.Services {
		l.unit(i, l.allow) // explicit, or derived from uses and gateway routes
	}
	for i := range l.mesh.Gateways {
		l.unit(l.gatewayUnit(i), func(int) { l.gateway(i) })
	}
	l.raws() // patches of what is emitted
}

// Services, gateways and externals are numbered through.
func (l *lowering) gatewayUnit(i int) int { return len(l.intent.Services) + i }
func (l *lowering) externalUnit(i int) int {
	return len(l.intent.Services) + len(l.intent.Gateways) + i
}

// unit runs a step for one unit and remembers what it asks for and finds.
func (l *lowering) unit(unit int, step func(int)) {
	from := len(l.diags)
	l.reads.Begin(unit)
	step(unit)
	l.reads.End()
	if found := l.diags[from:]; l.found != nil && len(found) > 0 {
		l.found[int32(unit)] = append(l.found[int32(unit)], found...)
	}
}

func (l *lowering) config() {
	name := l.opts.Name
	if name == "" {
		name = DefaultMeshName
	}
	l.mesh.Name = scope.Or(l.intent.Config.Name, name)
	l.mesh.TrustDomain, l.mesh.Aliases = l.scope.TrustDomain, l.scope.Aliases
}

// sorted is the model with lists sorted by name, so that file order is irrelevant.
func (l *lowering) sorted() *model.Mesh {
	out := *l.mesh
	out.Services = sortedBy(out.Services, func(s *model.Service) model.Ref { return s.Ref })
	out.Gateways = sortedBy(out.Gateways, func(g *model.Gateway) model.Ref { return g.Ref })
	out.Externals = sortedBy(out.Externals, func(e *model.External) model.Ref { return e.Ref })
	return &out
}

func sortedBy[T any](list []T, name func(T) model.Ref) []T {
	if len(list) == 0 {
		return nil
	}
	out := slices.Clone(list)
	slices.SortStableFunc(out, func(a, b T) int { return name(a).Compare(name(b)) })
	return out
}
