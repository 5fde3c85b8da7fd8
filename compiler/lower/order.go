package lower

import (
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// ordered is one rule on its way to its place in the match order.
type ordered[T any] struct {
	name   intent.Value[string]
	before []intent.Value[string]
	after  []intent.Value[string]
	at     diag.Range
	it     T
}

// order puts rules into match order. Rules of one file keep the order of the
// source unless `before` and `after` say otherwise; rules of different files
// that may take the same request need `before` or `after`, directly or through
// others (design: overlapping routes). shared says whether two rules may take
// the same request, and gives one if it is known.
func order[T any](rules []ordered[T], shared func(a, b T) (*reach.Request, bool), diags *diag.List) []T {
	p := newPrecedence(len(rules))
	addWritten(p, rules, diags)
	for i := range rules {
		for j := i + 1; j < len(rules); j++ {
			if rules[i].at.File == rules[j].at.File {
				p.add(i, j)
			}
		}
	}
	reportUnordered(p, rules, shared, diags)
	out := make([]T, 0, len(rules))
	for _, i := range p.order() {
		out = append(out, rules[i].it)
	}
	return out
}

// addWritten adds `before` and `after`. Unknown names are check's to report.
func addWritten[T any](p *precedence, rules []ordered[T], diags *diag.List) {
	find := func(name string) int {
		return slices.IndexFunc(rules, func(r ordered[T]) bool { return r.name.V == name })
	}
	for i, r := range rules {
		for _, b := range r.before {
			if j := find(b.V); j >= 0 && !p.add(i, j) {
				reportCycle(r.name.V, "before", b, diags)
			}
		}
		for _, a := range r.after {
			if j := find(a.V); j >= 0 && !p.add(j, i) {
				reportCycle(r.name.V, "after", a, diags)
			}
		}
	}
}

// reportCycle blames the constraint that closes the circle.
func reportCycle(name, word string, other intent.Value[string], diags *diag.List) {
	d := diag.New(diag.OrderCycle, other.At, "route %q cannot come %s %q: other constraints say the opposite", name, word, other.V)
	if name == other.V {
		d.Message = "route \"" + name + "\" cannot come " + word + " itself"
	}
	d.Help = "take one `before` or `after` of the circle away"
	diags.Add(d)
}

func reportUnordered[T any](p *precedence, rules []ordered[T], shared func(a, b T) (*reach.Request, bool), diags *diag.List) {
	for i, second := range rules {
		for j, first := range rules[:i] {
			if p.before(i, j) || p.before(j, i) {
				continue
			}
			witness, overlap := shared(first.it, second.it)
			if !overlap {
				continue
			}
			d := diag.New(diag.OverlapUnordered, second.name.At,
				"route %q may take requests that route %q of another file takes too, and nothing orders them",
				second.name.V, first.name.V)
			d.Why = "the order of files says nothing about which rule should win"
			d.Help = "write `before` or `after` on one of them, or put both into one file"
			if witness != nil {
				d.Witness = witness.String()
			}
			d.Related = []diag.Related{{Range: first.name.At, Message: "the other route"}}
			diags.Add(d)
		}
	}
}

// routesShare says whether two rules of one service compete for some request.
func routesShare(a, b *model.Route) (*reach.Request, bool) {
	if !slices.ContainsFunc(a.Ports, func(p uint16) bool { return slices.Contains(b.Ports, p) }) {
		return nil, false
	}
	if !a.SharesCallers(b) {
		return nil, false
	}
	return matchesShare(a.Match, b.Match)
}

// matchesShare asks for the form first, which settles most pairs. What cannot
// be decided counts as shared: an order that was not needed does no harm.
func matchesShare(as, bs []model.Match) (*reach.Request, bool) {
	if reach.AllDisjoint(as, bs) {
		return nil, false
	}
	witness, err := reach.Overlap(reach.OfMatches(as), reach.OfMatches(bs))
	return witness, witness != nil || err != nil
}
