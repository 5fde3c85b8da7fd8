package lower

import (
	"slices"

	"github.com/meshc/meshc/compiler/changed"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/digest"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// Kept is what one state of a mesh was lowered to, for the next one: what is as
// it was, and asks for nothing that is not, is not lowered again. It gives what
// the function Mesh gives, and for what has not changed the pointers of before.
// A mesh with errors leaves nothing. The zero value knows nothing; one call uses
// it at a time.
type Kept struct {
	last   *lowering
	config digest.Sum
	opts   Options
}

// Mesh lowers m, as the function Mesh does.
func (k *Kept) Mesh(m *intent.Mesh, opts Options) (*model.Mesh, diag.List) {
	config, last := digest.Of(m.Config), k.last
	k.last = nil
	if last != nil && k.config == config && k.opts == opts {
		if next, ok := last.next(m); ok {
			k.last = next
			return next.sorted(), next.diags
		}
	}
	l := &lowering{opts: opts, intent: m, scope: scope.New(m), reads: &changed.Reads{}, found: map[int32]diag.List{}}
	l.scope.Watch(l.reads)
	l.all()
	l.diags.Sort()
	if !l.diags.HasErrors() {
		k.last, k.config, k.opts = l, config, opts
	}
	return l.sorted(), l.diags
}

// next lowers what an edit reaches. It gives up when there are other things in
// the mesh than before, or an error. Only l may be used further if it gives up.
func (l *lowering) next(m *intent.Mesh) (*lowering, bool) {
	services, ok1 := changed.Between(l.intent.Services, m.Services, scope.ServiceRef)
	gateways, ok2 := changed.Between(l.intent.Gateways, m.Gateways, scope.GatewayRef)
	externals, ok3 := changed.Between(l.intent.Externals, m.Externals, scope.ExternalRef)
	if !ok1 || !ok2 || !ok3 {
		return nil, false
	}
	n := *l
	n.intent, n.diags = m, nil
	n.mesh = &model.Mesh{
		Name: l.mesh.Name, TrustDomain: l.mesh.TrustDomain, Aliases: l.mesh.Aliases, Raw: l.mesh.Raw,
		Services: slices.Clone(l.mesh.Services), Gateways: slices.Clone(l.mesh.Gateways), Externals: slices.Clone(l.mesh.Externals),
	}
	n.scope.Renew(changed.Chosen(m.Services, services), changed.Chosen(m.Gateways, gateways), changed.Chosen(m.Externals, externals))
	again := newUnits(&n)
	same := len(gateways)+len(externals) == 0
	for _, i := range services {
		same = same && changed.Of(l.intent.Services[i]).Content == changed.Of(m.Services[i]).Content
		again.changed(i, scope.ServiceRef(m.Services[i]))
	}
	for _, i := range gateways {
		again.changed(n.gatewayUnit(i), scope.GatewayRef(m.Gateways[i]))
	}
	for _, i := range externals {
		again.changed(n.externalUnit(i), scope.ExternalRef(m.Externals[i]))
	}
	n.again(l, again, same)
	n.diags = nil // found has them, too
	for _, found := range n.found {
		n.diags = append(n.diags, found...)
	}
	n.diags.Sort()
	return &n, !n.diags.HasErrors()
}

// units are those to lower again.
type units struct {
	l   *lowering
	all map[int]bool
}

func newUnits(l *lowering) *units { return &units{l, map[int]bool{}} }

// changed adds a unit, and those that asked for it.
func (u *units) changed(unit int, name model.Ref) {
	u.all[unit] = true
	for _, by := range u.l.reads.Askers(name) {
		u.all[int(by)] = true
	}
}

// between lists the units from one number up to another.
func (u *units) between(from, to int) []int {
	var out []int
	for unit := range u.all {
		if unit >= from && unit < to {
			out = append(out, unit)
		}
	}
	slices.Sort(out)
	return out
}

// again lowers units, and what depends on what becomes of them.
func (l *lowering) again(old *lowering, u *units, sameOutline bool) {
	clear := func(unit int) { delete(l.found, int32(unit)) }
	rest := func(i int) {
		clear(i)
		l.unit(i, l.service)
		l.unit(i, l.routes)
		l.unit(i, l.faults)
	}
	services := len(l.intent.Services)
	for _, unit := range u.between(l.externalUnit(0), l.externalUnit(len(l.intent.Externals))) {
		i := unit - l.externalUnit(0)
		clear(unit)
		l.unit(unit, func(int) { l.external(i) })
		keep(&l.mesh.Externals[i], old.mesh.Externals[i])
	}
	for _, i := range u.between(0, services) {
		rest(i)
	}
	if !sameOutline {
		l.calledBy = l.callers()
		for i, s := range l.mesh.Services {
			if !u.all[i] && !slices.Equal(l.calledBy[s.Ref], old.calledBy[s.Ref]) {
				u.all[i] = true
				rest(i)
			}
		}
	}
	for _, i := range u.between(0, services) {
		l.unit(i, l.allow)
		if !keep(&l.mesh.Services[i], old.mesh.Services[i]) {
			u.changed(i, l.mesh.Services[i].Ref) // for the gateways that lead there
		}
	}
	for _, unit := range u.between(l.gatewayUnit(0), l.externalUnit(0)) {
		i := unit - l.gatewayUnit(0)
		clear(unit)
		l.unit(unit, func(int) { l.gateway(i) })
		keep(&l.mesh.Gateways[i], old.mesh.Gateways[i])
	}
}

// keep puts what was there before in the place of what is equal to it.
func keep[T any](now **T, old *T) bool {
	if digest.Of(*now) != digest.Of(old) {
		return false
	}
	*now = old
	return true
}
