package lower

import (
	"slices"
	"strconv"
	"strings"

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

// sharing says whether two rules may take the same request, and gives one if it
// is known.
type sharing[T any] func(a, b T, work *reach.Allowance) (*reach.Request, bool)

// order puts rules into match order. Rules of one file keep the order of the
// source unless `before` and `after` say otherwise; rules of different files
// that may take the same request need `before` or `after`, directly or through
// others (design: overlapping routes).
func order[T any](rules []ordered[T], shared sharing[T], diags *diag.List) []T {
	p := newPrecedence(len(rules))
	consistent := addWritten(p, rules, diags)
	addSource(p, rules)
	var work reach.Allowance
	for i := range rules {
		if with := unordered(p, rules, i, shared, &work); len(with) > 0 {
			reportUnordered(rules[i], with, diags)
		}
	}
	if consistent {
		reportVain(p, rules, shared, &work, diags)
	}
	out := make([]T, 0, len(rules))
	for _, i := range p.order() {
		out = append(out, rules[i].it)
	}
	return out
}

// addSource adds the order of the source, within each file.
func addSource[T any](p *precedence, rules []ordered[T]) {
	for i := range rules {
		for j := i + 1; j < len(rules); j++ {
			if rules[i].at.File == rules[j].at.File {
				p.add(i, j)
			}
		}
	}
}

// addWritten adds `before` and `after`, and says whether they go together. Unknown
// names are check's to report.
func addWritten[T any](p *precedence, rules []ordered[T], diags *diag.List) (consistent bool) {
	consistent = true
	find := func(name string) int {
		return slices.IndexFunc(rules, func(r ordered[T]) bool { return r.name.V == name })
	}
	for i, r := range rules {
		for _, b := range r.before {
			if j := find(b.V); j >= 0 && !p.add(i, j) {
				consistent = false
				reportCycle(r.name.V, "before", b, diags)
			}
		}
		for _, a := range r.after {
			if j := find(a.V); j >= 0 && !p.add(j, i) {
				consistent = false
				reportCycle(r.name.V, "after", a, diags)
			}
		}
	}
	return consistent
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

// competitor is a rule that may take requests that another takes too.
type competitor struct {
	name    intent.Value[string]
	witness *reach.Request // nil where none is known
}

// mostCompetitors is how many are named of one rule. Whoever orders them has
// mostly ordered all.
const mostCompetitors = 8

// unordered are the rules above rule i with which it competes, although nothing
// orders them.
func unordered[T any](p *precedence, rules []ordered[T], i int, shared sharing[T], work *reach.Allowance) []competitor {
	var out []competitor
	for j, first := range rules[:i] {
		if p.first(i, j) || p.first(j, i) {
			continue
		}
		if witness, overlap := shared(first.it, rules[i].it, work); overlap {
			out = append(out, competitor{first.name, witness})
		}
		if len(out) == mostCompetitors {
			break
		}
	}
	return out
}

func reportUnordered[T any](r ordered[T], with []competitor, diags *diag.List) {
	others, take, related := "route", "takes", "the other route"
	if len(with) > 1 {
		others, take, related = "routes", "take", "one of the other routes"
	}
	var names []string
	for _, c := range with {
		names = append(names, strconv.Quote(c.name.V))
	}
	d := diag.New(diag.OverlapUnordered, r.name.At,
		"route %q may take requests that %s %s of another file %s too, and nothing orders them",
		r.name.V, others, strings.Join(names, ", "), take)
	d.Why = "the order of files says nothing about which rule should win"
	d.Help = "write `before` or `after` on one of them, or put all into one file"
	for _, c := range with {
		if c.witness != nil && d.Witness == "" {
			d.Witness = c.witness.String()
		}
		d.Related = append(d.Related, diag.Related{Range: c.name.At, Message: related})
	}
	diags.Add(d)
}

// routesShare says whether two rules of one service compete for some request.
func routesShare(a, b *model.Route, work *reach.Allowance) (*reach.Request, bool) {
	if !slices.ContainsFunc(a.Ports, func(p uint16) bool { return slices.Contains(b.Ports, p) }) {
		return nil, false
	}
	if !a.SharesCallers(b) {
		return nil, false
	}
	return matchesShare(a.Match, b.Match, work)
}

// matchesShare asks for the form first, which settles most pairs. What cannot
// be decided counts as shared: an order that was not needed does no harm.
func matchesShare(as, bs []model.Match, work *reach.Allowance) (*reach.Request, bool) {
	if reach.AllDisjoint(as, bs) {
		return nil, false
	}
	witness, err := work.Overlap(reach.OfMatches(as), reach.OfMatches(bs))
	return witness, witness != nil || err != nil
}
