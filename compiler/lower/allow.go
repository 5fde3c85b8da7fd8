package lower

import (
	"slices"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

func (l *lowering) allow() {
	callers := l.callers()
	for i, s := range l.intent.Services {
		out := l.mesh.Services[i]
		if s.Security != nil && s.Security.HasAllow {
			out.Allow = l.explicit(s)
		} else {
			out.Allow = derived(out.MTLS, callers[out.Ref])
		}
	}
}

// callers gives, for each service, the identities that declare to call it: by
// `uses`, or by a gateway's route.
func (l *lowering) callers() map[model.Ref][]string {
	callers := map[model.Ref][]string{}
	for _, s := range l.mesh.Services {
		for _, used := range s.Uses {
			callers[used] = append(callers[used], s.SPIFFEID)
		}
	}
	for _, g := range l.intent.Gateways {
		for _, r := range g.Routes {
			to := literal.Ref(r.To.V, scope.GatewayRef(g).Namespace)
			callers[to] = append(callers[to], l.scope.GatewayID(g))
		}
	}
	return callers
}

// derived lets declared callers in. Where plaintext is accepted everybody is,
// because a plaintext caller carries no identity to judge.
func derived(mode model.MTLSMode, ids []string) []model.Allow {
	var out []model.Allow
	if len(ids) > 0 {
		out = append(out, model.Allow{Principals: sortedSet(ids)})
	}
	if mode != model.MTLSStrict {
		out = append(out, model.Allow{Any: true})
	}
	return out
}

func (l *lowering) explicit(s *intent.Service) []model.Allow {
	var out []model.Allow
	for _, a := range s.Security.Allow {
		if a.Methods != nil && len(a.Methods) == 0 || a.Paths != nil && len(a.Paths) == 0 {
			continue // written and empty: no method, no path
		}
		allow := model.Allow{Methods: sortedTexts(a.Methods), Origin: a.At}
		for _, p := range a.Paths {
			allow.Paths = append(allow.Paths, path(p))
		}
		l.principals(&allow, s, a)
		if allow.Any || allow.Authenticated || len(allow.Principals) > 0 {
			out = append(out, allow)
		}
	}
	return out
}

// principals resolves `from`. "*" is every authenticated identity in strict
// mode, and everybody where plaintext is accepted.
func (l *lowering) principals(out *model.Allow, s *intent.Service, a *intent.Allow) {
	var ids []string
	for _, from := range a.From {
		if from.V == "*" {
			strict := l.scope.Mode(s) == model.MTLSStrict
			out.Any, out.Authenticated = !strict, strict
			return
		}
		id, ok := l.scope.CallerID(literal.Ref(from.V, scope.ServiceRef(s).Namespace))
		if !ok {
			panic("lower: intent was not checked: allow names unknown caller " + from.V)
		}
		ids = append(ids, id)
	}
	out.Principals = sortedSet(ids)
}

func sortedSet(ids []string) []string {
	out := slices.Clone(ids)
	slices.Sort(out)
	return slices.Compact(out)
}
