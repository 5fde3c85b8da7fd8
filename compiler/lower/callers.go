package lower

import (
	"slices"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
)

// named resolves references to services and gateways.
func (l *lowering) named(list []intent.Value[string], namespace string) []model.Caller {
	var out []model.Caller
	for _, from := range list {
		ref := literal.Ref(from.V, namespace)
		id, _ := l.scope.CallerID(ref)
		out = append(out, model.Caller{Ref: ref, SPIFFEID: id})
	}
	slices.SortFunc(out, func(a, b model.Caller) int { return a.Ref.Compare(b.Ref) })
	return out
}
