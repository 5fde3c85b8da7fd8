package lower

import (
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/reach"
)

// reportVain warns of each `before` and `after` between rules that share no
// request, unless others that do are ordered by it. p is the order with all of
// them.
func reportVain[T any](p *precedence, rules []ordered[T], shared sharing[T], work *reach.Allowance, diags *diag.List) {
	for i := range rules {
		for _, l := range []struct {
			word  string
			names []intent.Value[string]
		}{{"before", rules[i].before}, {"after", rules[i].after}} {
			for k, name := range l.names {
				j := slices.IndexFunc(rules, func(r ordered[T]) bool { return r.name.V == name.V })
				if j < 0 {
					continue
				}
				if _, overlap := shared(rules[i].it, rules[j].it, work); overlap || orders(p, without(rules, i, l.word, k), shared, work) {
					continue
				}
				d := diag.New(diag.OrderVain, name.At, "routes %q and %q share no request, so it makes no difference which comes %s", rules[i].name.V, name.V, l.word)
				d.Help = "leave it out"
				diags.Add(d)
			}
		}
	}
}

// without gives rules of which one lacks the k-th name of its list.
func without[T any](rules []ordered[T], i int, word string, k int) []ordered[T] {
	out := slices.Clone(rules)
	list := &out[i].before
	if word == "after" {
		list = &out[i].after
	}
	*list = slices.Delete(slices.Clone(*list), k, k+1)
	return out
}

// orders says that two rules which share requests stand in another order in p
// than by these rules alone.
func orders[T any](p *precedence, rules []ordered[T], shared sharing[T], work *reach.Allowance) bool {
	var ignored diag.List // of circles, which are reported of all
	q := newPrecedence(len(rules))
	addWritten(q, rules, &ignored)
	addSource(q, rules)
	for i := range rules {
		for j := range i {
			if p.first(i, j) == q.first(i, j) && p.first(j, i) == q.first(j, i) {
				continue
			}
			if _, overlap := shared(rules[i].it, rules[j].it, work); overlap {
				return true
			}
		}
	}
	return false
}
