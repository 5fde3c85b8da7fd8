package check

import (
	"github.com/meshc/meshc/compiler/model"
)

// Tries is a route whose retries multiply with those of the hops before.
type Tries struct {
	Service model.Ref
	Route   string
	Factor  string // how many requests one may become here, as in "12" and "1.25"
	Path    string // the hops that lead here, with the tries of each
	Origin  model.Origin
}

// TriesAbove lists the routes with retries at which one request may have become
// more than most, counted as the warning about amplification counts it. Where
// calls come back with retries on the way, there is no bound.
func TriesAbove(m *model.Mesh, most int) []Tries {
	a := newCallGraph(m).amplification()
	var out []Tries
	for v := range a.nodes {
		s := a.nodes[v].service
		if s == nil {
			continue
		}
		for _, r := range s.Routes {
			own := triesOn(s, r)
			if own <= onceOver {
				continue
			}
			factor, path := a.at(v, own)
			if factor > most*onceOver {
				out = append(out, Tries{s.Ref, r.Name, factorText(factor), a.pathText(path), r.Retry.Origin})
			}
		}
	}
	return out
}

// at is what one request may have become at a route of v that tries it own
// times, and the worst way there.
func (a *amplification) at(v, own int) (factor int, path []int) {
	if cycle := a.nodes[v].cycle; a.multiplies(cycle) {
		return saturated, a.lap(v)
	}
	path = []int{v}
	for w := a.before[v]; w >= 0; w = a.before[w] {
		path = append([]int{w}, path...)
	}
	if w := a.before[v]; w >= 0 {
		return times(own, a.in[w]), path
	}
	return own, path
}
