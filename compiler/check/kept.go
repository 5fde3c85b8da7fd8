package check

import (
	"time"

	"github.com/meshc/meshc/compiler/changed"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/digest"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// Kept is what was found of one state of a mesh, for the next one: passes that
// judge one service, gateway or external judge those that are not as they were,
// and those that asked for these by name. It gives what the functions Intent and
// Model give. What is the same must be the same pointers as before. A mesh with
// errors leaves nothing. The zero value knows nothing; one call uses it at a time.
type Kept struct {
	// Tables gives what is known of routes when all of a model is judged; nil
	// for nothing.
	Tables func() *Tables

	intent *keptIntent
	model  *keptModel
}

// keptIntent is what is known of intent.
type keptIntent struct {
	memory
	mesh     intent.Mesh
	config   digest.Sum
	scope    *scope.Scope
	calledBy map[model.Ref][]model.Ref
}

// keptModel is what is known of a model.
type keptModel struct {
	memory
	mesh     model.Mesh
	graph    *callGraph
	calledBy map[model.Ref][]caller
}

// Intent judges what the user wrote, as the function Intent does.
func (k *Kept) Intent(m *intent.Mesh) diag.List {
	config := digest.Of(m.Config)
	if known := k.intent; known != nil && known.config == config {
		k.intent = nil
		if c, ok := known.again(m); ok {
			known.mesh, known.calledBy = *m, c.calledBy
			k.intent = known
			return known.all()
		}
	}
	fresh := &keptIntent{mesh: *m, config: config, scope: scope.New(m)}
	fresh.scope.Watch(&fresh.reads)
	c := &overIntent{mesh: m, scope: fresh.scope, reads: &fresh.reads}
	if first(&fresh.memory, c, intentPasses, c.units()) {
		fresh.calledBy = c.calledBy
		k.intent = fresh
	}
	c.diags.Sort()
	return c.diags
}

// again judges what an edit reaches. It gives up when there are other things in
// the mesh than before, or an error.
func (k *keptIntent) again(m *intent.Mesh) (*overIntent, bool) {
	services, ok1 := changed.Between(k.mesh.Services, m.Services, scope.ServiceRef)
	gateways, ok2 := changed.Between(k.mesh.Gateways, m.Gateways, scope.GatewayRef)
	externals, ok3 := changed.Between(k.mesh.Externals, m.Externals, scope.ExternalRef)
	if !ok1 || !ok2 || !ok3 {
		return nil, false
	}
	e := newEdit(len(gateways)+len(externals) == 0)
	for _, i := range services {
		e.outlines(changed.Of(k.mesh.Services[i]), changed.Of(m.Services[i]))
		e.add(i, scope.ServiceRef(m.Services[i]))
	}
	for _, i := range gateways {
		e.add(len(m.Services)+i, scope.GatewayRef(m.Gateways[i]))
	}
	for _, i := range externals {
		e.add(len(m.Services)+len(m.Gateways)+i, scope.ExternalRef(m.Externals[i]))
	}
	k.scope.Renew(changed.Chosen(m.Services, services), changed.Chosen(m.Gateways, gateways), changed.Chosen(m.Externals, externals))
	c := &overIntent{mesh: m, scope: k.scope, reads: &k.reads}
	if e.sameOutline {
		c.calledBy = k.calledBy
	}
	return c, again(&k.memory, c, intentPasses, e)
}

// Model judges a lowered mesh at the time now, as the function Model does.
func (k *Kept) Model(m *model.Mesh, now time.Time) diag.List {
	if known := k.model; known != nil && known.mesh.TrustDomain == m.TrustDomain {
		k.model = nil
		if c, ok := known.again(m, now); ok {
			known.mesh, known.graph, known.calledBy = *m, c.calls, c.calledBy
			k.model = known
			return known.all()
		}
	}
	fresh := &keptModel{mesh: *m}
	c := &overModel{mesh: m, now: now, reads: &fresh.reads}
	if k.Tables != nil {
		c.known = k.Tables()
	}
	if first(&fresh.memory, c, modelPasses, c.units()) {
		fresh.graph, fresh.calledBy = c.calls, c.calledBy
		k.model = fresh
	}
	c.diags.Sort()
	return c.diags
}

func (k *keptModel) again(m *model.Mesh, now time.Time) (*overModel, bool) {
	services, ok1 := changed.Between(k.mesh.Services, m.Services, func(s *model.Service) model.Ref { return s.Ref })
	gateways, ok2 := changed.Between(k.mesh.Gateways, m.Gateways, func(g *model.Gateway) model.Ref { return g.Ref })
	externals, ok3 := changed.Between(k.mesh.Externals, m.Externals, func(e *model.External) model.Ref { return e.Ref })
	if !ok1 || !ok2 || !ok3 {
		return nil, false
	}
	e := newEdit(len(externals) == 0)
	for _, i := range services {
		e.outlines(changed.OfModel(k.mesh.Services[i]), changed.OfModel(m.Services[i]))
		e.add(i, m.Services[i].Ref)
	}
	for _, i := range gateways {
		e.outlines(changed.OfGateway(k.mesh.Gateways[i]), changed.OfGateway(m.Gateways[i]))
		e.add(len(m.Services)+i, m.Gateways[i].Ref)
	}
	for _, i := range externals {
		e.add(len(m.Services)+len(m.Gateways)+i, m.Externals[i].Ref)
	}
	c := &overModel{mesh: m, now: now, reads: &k.reads}
	if e.sameOutline {
		c.calledBy = k.calledBy
	}
	if len(externals) == 0 && k.graph.sameCalls(&k.mesh, m, services, gateways) {
		c.calls = k.graph
		c.calls.renew(changed.Chosen(m.Services, services))
	}
	return c, again(&k.memory, c, modelPasses, e)
}
