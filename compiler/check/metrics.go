package check

import (
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
)

// metrics checks that what is dropped would be counted, and that something is
// left.
func (c *overIntent) metrics(m *intent.Metrics) {
	if m.Profile == nil && m.Drop == nil {
		c.report(diag.TelemetryDoesNothing, m.At, "`metrics` says nothing").Help = "leave it out"
	}
	if m.Drop != nil && len(m.Drop) == 0 {
		c.report(diag.TelemetryDoesNothing, m.At, "`drop` is empty, so nothing is dropped").Help = "leave it out"
	}
	c.listedTwice("`drop`", m.Drop, same)
	if m.Profile == nil || m.Profile.V != string(model.MinimalMetrics) {
		return
	}
	left := model.Minimal
	for _, d := range m.Drop {
		if !slices.ContainsFunc(model.Minimal, func(name string) bool { return model.MetricIs(d.V, name) }) {
			e := c.report(diag.MetricNotCounted, d.At, "the minimal profile does not count %q in the first place", d.V)
			e.Help = meant(d.V, model.Minimal)
		}
		left = slices.DeleteFunc(slices.Clone(left), func(name string) bool { return model.MetricIs(d.V, name) })
	}
	if len(left) == 0 {
		c.report(diag.MetricNotCounted, m.Drop[0].At, "all that the minimal profile counts is dropped").Help = "leave some of it"
	}
}
