package lower

import (
	"slices"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

func (l *lowering) mirrors(s *intent.Service, r *intent.Route) []model.Mirror {
	var out []model.Mirror
	for _, m := range r.Mirror {
		one := model.Mirror{BasisPoints: percent(m.Percent), Origin: m.At}
		if m.To == nil {
			one.Version = scope.Or(m.Version, "")
		} else {
			l.mirrorTo(&one, s, r, m)
		}
		out = append(out, one)
	}
	slices.SortStableFunc(out, model.CompareMirrors)
	return out
}

func (l *lowering) mirrorTo(out *model.Mirror, s *intent.Service, r *intent.Route, m *intent.Mirror) {
	ref := scope.MirrorRef(s, m)
	to, ports := l.scope.Service(ref), scope.RoutePorts(s, r)
	if to == nil || len(ports) == 0 {
		panic("lower: intent was not checked: route " + r.Name.V + " copies to " + ref.String())
	}
	p := scope.MirrorPort(to, m, ports[0].Protocol.V)
	if p == nil {
		panic("lower: intent was not checked: no port of " + ref.String() + " takes the copies of route " + r.Name.V)
	}
	out.Service, out.Host, out.Port, out.Version = ref, scope.Host(to), uint16(p.Number.V), scope.MirrorVersion(to, m)
}

// copiers call services that get copies of requests, without saying `uses`.
func (l *lowering) copiers(callers map[model.Ref][]string) {
	copied := map[model.Ref][]*model.Route{} // by service: its routes that copy to others
	for _, s := range l.mesh.Services {
		for _, r := range s.Routes {
			if slices.ContainsFunc(r.Mirror, func(m model.Mirror) bool { return m.Elsewhere() }) {
				copied[s.Ref] = append(copied[s.Ref], r)
			}
		}
	}
	if len(copied) == 0 {
		return
	}
	add := func(caller model.Ref, id string, called model.Ref) {
		for _, r := range copied[called] {
			for _, m := range r.Mirror {
				if m.Elsewhere() && r.TakesFrom(caller) {
					callers[m.Service] = append(callers[m.Service], id)
				}
			}
		}
	}
	for _, s := range l.mesh.Services {
		for _, used := range s.Uses {
			add(s.Ref, s.SPIFFEID, used)
		}
	}
	for _, g := range l.intent.Gateways {
		for _, r := range g.Routes {
			if !r.Answers() {
				add(scope.GatewayRef(g), l.scope.GatewayID(g), literal.Ref(r.To.V, scope.GatewayRef(g).Namespace))
			}
		}
	}
}
