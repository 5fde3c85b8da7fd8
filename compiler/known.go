package compiler

import (
	"time"

	"github.com/meshc/meshc/compiler/changed"
	"github.com/meshc/meshc/compiler/check"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/digest"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/lower"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// known is what the stages after load know of the last state of a mesh. A nil
// known knows nothing, and learns nothing.
type known struct {
	intent *intent.Mesh
	checks check.Kept
	lowers lower.Kept
}

// unchanged puts entries of the last state in the place of those that are equal
// to them, places included: stages know them by their pointers.
func (k *known) unchanged(m *intent.Mesh) {
	if k == nil || m == nil {
		return
	}
	if last := k.intent; last != nil {
		same(last.Services, m.Services, scope.ServiceRef)
		same(last.Gateways, m.Gateways, scope.GatewayRef)
		same(last.Externals, m.Externals, scope.ExternalRef)
	}
	k.intent = m
}

// same does so for two lists of the same names.
func same[T any](old, now []*T, name func(*T) model.Ref) {
	differing, ok := changed.Between(old, now, name)
	if !ok {
		return
	}
	for _, i := range differing {
		if digest.Of(old[i]) == digest.Of(now[i]) {
			now[i] = old[i]
		}
	}
}

func (k *known) checkIntent(m *intent.Mesh) diag.List {
	if k == nil {
		return check.Intent(m)
	}
	return k.checks.Intent(m)
}

func (k *known) lower(m *intent.Mesh) (*model.Mesh, diag.List) {
	if k == nil {
		return lower.Mesh(m, lower.Options{})
	}
	return k.lowers.Mesh(m, lower.Options{})
}

// checkModel judges a model with what is known.
func (k *known) checkModel(m *model.Mesh, now time.Time) diag.List {
	if k == nil {
		return check.Model(m, now)
	}
	return k.checks.Model(m, now)
}
