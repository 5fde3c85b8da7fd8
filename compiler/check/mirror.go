package check

import (
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
)

func (c *overIntent) mirrors(s *intent.Service, r *intent.Route) {
	if r.Mirror != nil && len(r.Mirror) == 0 {
		c.report(diag.WrongValue, r.Name.At, "route %q: `mirror` is an empty list", r.Name.V).Help = "leave it out"
	}
	var known []string
	for _, v := range s.Versions {
		known = append(known, v.Name.V)
	}
	weights := map[string]uint32{}
	for _, w := range r.To {
		weights[w.Version.V], _ = literal.Percent(w.Percent.V) // reported by destinations
	}
	seen := map[string]bool{}
	for _, m := range r.Mirror {
		c.mirror(s, r, m, known, weights)
		if seen[m.Version.V] {
			c.report(diag.BadMirror, m.Version.At, "route %q copies to version %q twice", r.Name.V, m.Version.V)
		}
		seen[m.Version.V] = true
	}
}

func (c *overIntent) mirror(s *intent.Service, r *intent.Route, m *intent.Mirror, known []string, weights map[string]uint32) {
	if !slices.Contains(known, m.Version.V) {
		d := c.report(diag.UnknownVersion, m.Version.At, "route %q copies to version %q, which service %q does not have", r.Name.V, m.Version.V, s.Name.V)
		meantLabel(d, m.Version, known, false)
		return
	}
	copies, err := literal.Percent(m.Percent.V)
	switch own := weights[m.Version.V]; {
	case err != nil:
		c.report(diag.BadWeight, m.Percent.At, "route %q: percentage %s of the copies %s", r.Name.V, m.Percent.V, err).
			Help = "a percentage is above 0 up to 100 with at most two decimals"
	case copies == 0:
		c.report(diag.BadMirror, m.Percent.At, "route %q copies 0 percent of its requests", r.Name.V).Help = "take the mirror away"
	case own == model.BasisPointsWhole:
		c.report(diag.BadMirror, m.Version.At, "route %q sends every request to version %q anyway", r.Name.V, m.Version.V).Help = "copy to another version"
	case own > 0 && copies > own:
		times := model.Hundredths((own + copies) * 100 / own)
		c.report(diag.MirrorLoad, m.Percent.At, "route %q: version %q gets %s %% of the requests and copies of %s %%: %s times its load",
			r.Name.V, m.Version.V, literal.FormatPercent(own), literal.FormatPercent(copies), times).
			Help = "copy at most " + literal.FormatPercent(own) + " percent, or to a version that `to` does not send to"
	}
}
