package permit

import (
	"cmp"
	"slices"

	"github.com/meshc/meshc/compiler/alike"
	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/model"
)

// width says how what one mesh lets in stands to what another one does.
type width int

const (
	incomparable width = iota // each lets in what the other does not, or it is not known
	same
	less // a part of it
	more
)

// without compares parts of models as far as they say what is done.
var without = alike.Without[model.Origin]()

// lets compares what the second mesh lets in with what the first does, exactly.
func lets(a, b *model.Mesh) width {
	gained, lost := false, false
	for _, ref := range concerned(a, b) {
		access := behave.CompareAccess(a, b, ref)
		if len(access.Unknown) > 0 {
			return incomparable
		}
		for i := range access.Entries {
			e := &access.Entries[i]
			gained, lost = gained || !e.Lost(), lost || !e.Gained()
		}
	}
	switch {
	case gained && lost:
		return incomparable
	case gained:
		return more
	case lost:
		return less
	}
	return same
}

// concerned are the services and externals that somebody may reach otherwise in one
// mesh than in the other, sorted: those that are not the same, those that another set
// of callers declares to use, and what gateways that are not the same lead to.
func concerned(a, b *model.Mesh) []model.Ref {
	refs := map[model.Ref]bool{}
	for _, s := range b.Services {
		was := a.Service(s.Ref)
		if was == s || alike.Same(without, was, s) {
			continue
		}
		if refs[s.Ref] = true; was == nil {
			continue
		}
		for _, used := range slices.Concat(s.Uses, was.Uses) {
			if slices.Contains(s.Uses, used) != slices.Contains(was.Uses, used) {
				refs[used] = true
			}
		}
	}
	for _, g := range b.Gateways {
		if was := a.Gateway(g.Ref); was == g || alike.Same(without, was, g) {
			continue
		}
		for _, l := range g.Listeners {
			for _, h := range l.Hosts {
				for _, r := range h.Routes {
					if !r.Itself() {
						refs[r.Service] = true
					}
				}
			}
		}
	}
	var out []model.Ref
	for ref := range refs {
		out = append(out, ref)
	}
	slices.SortFunc(out, model.Ref.Compare)
	return out
}

// narrowest orders plans by what they let in: those first that were made for the
// request alone, and of the first few of these those that let in a part of what others
// do before the others.
func narrowest(plans []plan) []plan {
	out := slices.Clone(plans)
	slices.SortStableFunc(out, func(a, b plan) int {
		return cmp.Or(cmp.Compare(a.wide(), b.wide()), cmp.Compare(len(a.steps), len(b.steps)), cmp.Compare(a.size(), b.size()))
	})
	n := min(len(out), maxCompared)
	return append(leastFirst(out[:n], func(p *plan) (*model.Mesh, int) { return p.mesh, p.size() }), out[n:]...)
}

// leastFirst orders a few so that none stands behind one that lets in all that it
// does, and more, or that lets in the same with more text; otherwise they stay in the
// order in which they are.
func leastFirst[T any](list []T, of func(*T) (mesh *model.Mesh, size int)) []T {
	left := slices.Clone(list)
	var out []T
	for len(left) > 0 {
		least := 0
		for i := 1; i < len(left); i++ {
			mesh, size := of(&left[least])
			other, otherSize := of(&left[i])
			if w := lets(mesh, other); w == less || w == same && otherSize < size {
				least = i
			}
		}
		out = append(out, left[least])
		left = slices.Delete(left, least, least+1)
	}
	return out
}
