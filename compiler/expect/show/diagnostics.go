package show

import (
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/expect"
)

var codes = map[expect.Verdict]diag.Code{
	expect.Fails: diag.ExpectationFails, expect.Vacuous: diag.ExpectationVacuous, expect.Unknown: diag.ExpectationUnknown,
}

// Diagnostics gives one for each expectation that does not hold, at its name, for
// annotations of a pull request.
func Diagnostics(r *expect.Report) diag.List {
	var out diag.List
	for i := range r.Results {
		e := &r.Results[i]
		if e.Verdict == expect.Holds {
			continue
		}
		d := diag.New(codes[e.Verdict], e.At, "%s: expectation %q: %s", e.Owner, e.Name, said(e))
		d.Witness = e.Request
		if e.Replay != "" {
			d.Help = "see " + e.Replay
		}
		out.Add(d)
	}
	return out
}

// said is what there is to say of an expectation that does not hold, in one line.
func said(e *expect.Result) string {
	switch e.Verdict {
	case expect.Fails:
		return strings.Join(e.Unmet, "; ")
	case expect.Vacuous:
		return "it is about nothing: " + e.Why
	}
	return "could not be told: " + strings.Join(e.Unknown, "; ")
}
