package lower

import (
	"cmp"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
)

// anyHost is the pattern of every host.
const anyHost = "*"

// meetHosts gives the patterns that a route has on a listener: its own,
// narrowed to the listener's. Without patterns of its own it has the
// listener's.
func meetHosts(listener, route []intent.Value[string]) []string {
	outer, inner := patterns(listener), patterns(route)
	if len(inner) == 0 {
		return outer
	}
	var met []string
	for _, o := range outer {
		for _, i := range inner {
			switch {
			case model.HostCovers(o, i):
				met = append(met, i)
			case model.HostCovers(i, o):
				met = append(met, o)
			}
		}
	}
	slices.SortFunc(met, model.CompareHosts)
	return slices.Compact(met)
}

func patterns(vs []intent.Value[string]) []string {
	var out []string
	for _, v := range vs {
		out = append(out, strings.ToLower(v.V))
	}
	slices.SortFunc(out, model.CompareHosts)
	return slices.Compact(out)
}

// listenerHosts gives a listener's patterns; none written means every host.
func listenerHosts(gl *intent.GatewayListener) []intent.Value[string] {
	if len(gl.Hosts) == 0 {
		return []intent.Value[string]{{V: anyHost}}
	}
	return gl.Hosts
}

// hostsDisjoint says that no host is accepted by a pattern of as and one of bs.
func hostsDisjoint(as, bs []string) bool {
	for _, a := range as {
		for _, b := range bs {
			if model.HostCovers(a, b) || model.HostCovers(b, a) {
				return false
			}
		}
	}
	return true
}

func sortListeners(ls []model.GatewayListener) {
	slices.SortStableFunc(ls, func(a, b model.GatewayListener) int { return cmp.Compare(a.Port, b.Port) })
}
