package lower

import (
	"cmp"
	"slices"

	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// raws are the patches in the order of their names, in which they are merged.
func (l *lowering) raws() {
	for _, r := range l.intent.Config.Raw {
		out := model.Raw{
			Name: r.Name.V, Kind: model.RawKind(r.Resource.V), Target: r.Target.V, Patch: r.Patch.V, Hash: r.Hash.V,
			Origin: r.At, PatchOrigin: r.Patch.At, HashOrigin: r.Hash.At,
		}
		for _, p := range r.Proxies {
			out.Proxies = append(out.Proxies, literal.Ref(p.V, scope.DefaultNamespace))
		}
		slices.SortFunc(out.Proxies, model.Ref.Compare)
		out.Proxies = slices.Compact(out.Proxies)
		l.mesh.Raw = append(l.mesh.Raw, out)
	}
	slices.SortFunc(l.mesh.Raw, func(a, b model.Raw) int { return cmp.Compare(a.Name, b.Name) })
}
