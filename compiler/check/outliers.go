package check

import (
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
)

func (t *traffic) outliers(o *intent.Outliers, owner string) {
	if o == nil {
		return
	}
	if o.Consecutive5xx == nil && o.ConsecutiveGateway == nil && o.ConsecutiveLocal == nil && o.SuccessRate == nil && o.FailurePercent == nil {
		t.report(diag.NoDetector, o.At, "%s: nothing says what makes an endpoint an outlier", owner).
			Help = "write one of consecutive5xx, consecutiveGateway, consecutiveLocal, successRate, failurePercent"
	}
	t.failureStatuses(o, owner)
	t.positive(o.Interval, owner+": outliers are looked for after an interval")
	t.ejectionTimes(o, owner)
	if r := o.SuccessRate; r != nil {
		t.decimal(r.Stdev, diag.WrongValue, owner+": successRate.stdev")
	}
	// A 502 is a 5xx: the shorter count is always full first.
	if g, all := o.ConsecutiveGateway, o.Consecutive5xx; g != nil && all != nil && g.V >= all.V {
		t.report(diag.EjectionNever, g.At, "%s: after %d answers 5xx in a row an endpoint is left out, before %d gateway errors are", owner, all.V, g.V).
			Help = "let consecutiveGateway be less than consecutive5xx, or leave it out"
	}
}

// failureStatuses judges which answers count as failures.
func (t *traffic) failureStatuses(o *intent.Outliers, owner string) {
	if len(o.Statuses) == 0 {
		if o.Statuses != nil {
			t.report(diag.WrongValue, o.At, "%s: `statuses` is an empty list", owner).Help = "leave it out: then every 5xx is a failure"
		}
		return
	}
	t.listedTwice("`statuses`", o.Statuses, same)
	gateway := false
	for i, v := range o.Statuses {
		r, ok := model.StatusRangeOf(v.V)
		if !ok {
			continue // the schema has said so
		}
		gateway = gateway || r.Holds(502) || r.Holds(503) || r.Holds(504)
		for j, w := range o.Statuses {
			if class, _ := model.StatusRangeOf(w.V); i != j && class != r && class.Holds(r.From) && class.Holds(r.To) {
				d := t.report(diag.ListedTwice, v.At, "%q is one of %q, which `statuses` lists too", v.V, w.V)
				d.Related = []diag.Related{{Range: w.At, Message: "the class"}}
				d.WithFix("take the status away", diag.Edit{Op: diag.RemoveElement, Range: v.At})
			}
		}
	}
	if o.ConsecutiveLocal != nil && o.Consecutive5xx == nil && o.ConsecutiveGateway == nil && o.SuccessRate == nil && o.FailurePercent == nil {
		t.report(diag.StatusesUnused, o.Statuses[0].At, "%s: consecutiveLocal counts connections that fail, and no answers", owner).
			Help = "write consecutive5xx, which counts the answers in `statuses`, or leave `statuses` out"
	}
	if g := o.ConsecutiveGateway; g != nil && o.ConsecutiveLocal != nil && !gateway {
		t.report(diag.EjectionNever, g.At, "%s: `statuses` has none of 502, 503 and 504, and connections that fail count for consecutiveLocal", owner).
			Help = "add one of them to `statuses`, or leave consecutiveGateway out"
	}
}

func (t *traffic) ejectionTimes(o *intent.Outliers, owner string) {
	first, ok := t.positive(o.Ejection, owner+": an ejection takes some time")
	longest, okLongest := t.positive(o.MaxEjection, owner+": an ejection takes some time")
	if o.Ejection == nil {
		first, ok = model.DefaultEjection, true
	}
	if ok && okLongest && first > longest {
		t.report(diag.EjectionTimes, o.MaxEjection.At, "%s: the first ejection takes %s, and the longest %s", owner, first, longest)
	}
}

// ejection asks whether an endpoint can be left out, and stays so.
func (t *traffic) ejection(b *intent.Traffic, m meeting) {
	o := b.Outliers
	if o == nil {
		return
	}
	panicAt := uint32(model.DefaultPanicBasisPoints)
	if b.Balance != nil && b.Balance.PanicPercent != nil {
		panicAt, _ = literal.Percent(b.Balance.PanicPercent.V) // read before
	}
	// With an order of places there is no panic as long as the next ones can take it.
	if p := o.MaxPercent; p != nil && !hasOrder(b) && uint32(p.V)*100 > model.BasisPointsWhole-panicAt {
		f := t.once(diag.EjectionPanic, p.At, "%s: when fewer than %s %% of the endpoints are well all get requests, also those that are left out; maxPercent %d goes beyond that",
			m.what, literal.FormatPercent(panicAt), p.V).
			help("lower maxPercent to " + literal.FormatPercent(model.BasisPointsWhole-panicAt) + ", or balance.panicPercent")
		if b.Balance != nil && b.Balance.PanicPercent != nil {
			f.related(b.Balance.PanicPercent.At, "the panic threshold")
		}
	}
	if m.endpoints > 0 {
		t.knownEndpoints(o, m, panicAt)
	}
}

// knownEndpoints judges detectors by the number of endpoints.
func (t *traffic) knownEndpoints(o *intent.Outliers, m meeting, panicAt uint32) {
	switch {
	case m.endpoints == 1 && panicAt > 0:
		t.once(diag.EjectionNever, o.At, "%s has one endpoint, which gets every request also when it is left out", m.what)
		return
	case o.MaxPercent != nil && o.MaxPercent.V*m.endpoints < 100:
		t.once(diag.EjectionNever, o.MaxPercent.At, "%s has %d endpoints, and %d %% of them are less than one", m.what, m.endpoints, o.MaxPercent.V).
			help("raise maxPercent, or leave it out: then one may be left out in any case")
		return
	}
	if r := o.SuccessRate; r != nil {
		t.judgedHosts(r.MinHosts, r.At, m)
	}
	if f := o.FailurePercent; f != nil {
		t.judgedHosts(f.MinHosts, f.At, m)
	}
}

func (t *traffic) judgedHosts(written *intent.Value[int], at diag.Range, m meeting) {
	least := model.DefaultJudgedHosts
	if written != nil {
		least, at = written.V, written.At
	}
	if m.endpoints < least {
		t.once(diag.EjectionNever, at, "%s has %d endpoints, and the judgement needs %d", m.what, m.endpoints, least).
			help("lower minHosts")
	}
}
