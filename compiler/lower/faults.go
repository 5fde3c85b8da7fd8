package lower

import (
	"slices"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
)

func (l *lowering) faults() {
	for i, s := range l.intent.Services {
		routes := l.mesh.Services[i].Routes
		for _, f := range s.Faults {
			at := slices.IndexFunc(routes, func(r *model.Route) bool { return r.Name == f.On.V })
			if at < 0 {
				panic("lower: intent was not checked: fault " + f.Name.V + " is on an unknown route")
			}
			attach(routes[at], f)
		}
	}
}

func attach(r *model.Route, f *intent.Fault) {
	until := checked(literal.Time(f.Until.V))
	if f.Delay != nil {
		r.Delay = &model.Delay{
			Name: f.Name.V, Fixed: duration(f.Delay.Fixed), BasisPoints: percent(f.Delay.Percent), Until: until, Origin: f.Delay.At,
		}
	}
	if f.Abort != nil {
		r.Abort = &model.Abort{
			Name: f.Name.V, Status: uint32(f.Abort.Status.V), BasisPoints: percent(f.Abort.Percent), Until: until, Origin: f.Abort.At,
		}
	}
}
