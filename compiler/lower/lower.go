// Package lower turns intent into the model: names resolved, defaults filled,
// lists in their final order. It takes intent that check.Intent has found free
// of errors and panics on literals that check refuses, because that is a bug
// of the compiler and not of the user. What it reports itself is what only the
// order of routes and the meeting of conditions bring to light.
package lower

import (
	"slices"
	"time"

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

// lowering is one run: what is known so far, handed from pass to pass.
type lowering struct {
	opts   Options
	intent *intent.Mesh
	scope  *scope.Scope
	mesh   *model.Mesh
	diags  diag.List
}

// passes in the order in which they run.
var passes = []func(*lowering){
	(*lowering).config,    // mesh name and trust domain: identities need them
	(*lowering).services,  // names, hosts, identities, ports, versions, uses
	(*lowering).externals, // what lies outside the mesh
	(*lowering).routes,    // rules in match order, with defaults; needs ports and versions
	(*lowering).faults,    // attached to the routes that they name
	(*lowering).allow,     // explicit, or derived from uses and gateway routes
	(*lowering).gateways,  // each rule met with the rules of its service, so routes and faults are final
	(*lowering).raws,      // patches of what is emitted
	(*lowering).sort,      // by name, so that file order is irrelevant
}

// Mesh lowers m. The model is complete also when the list holds errors, but
// then the order of some routes is a guess and nothing may be built from it.
func Mesh(m *intent.Mesh, opts Options) (*model.Mesh, diag.List) {
	l := &lowering{opts: opts, intent: m, scope: scope.New(m), mesh: &model.Mesh{}}
	for _, pass := range passes {
		pass(l)
	}
	l.diags.Sort()
	return l.mesh, l.diags
}

func (l *lowering) config() {
	name := l.opts.Name
	if name == "" {
		name = DefaultMeshName
	}
	l.mesh.Name = scope.Or(l.intent.Config.Name, name)
	l.mesh.TrustDomain = l.scope.TrustDomain
}

func (l *lowering) sort() {
	slices.SortStableFunc(l.mesh.Services, func(a, b *model.Service) int { return a.Ref.Compare(b.Ref) })
	slices.SortStableFunc(l.mesh.Gateways, func(a, b *model.Gateway) int { return a.Ref.Compare(b.Ref) })
	slices.SortStableFunc(l.mesh.Externals, func(a, b *model.External) int { return a.Ref.Compare(b.Ref) })
}
