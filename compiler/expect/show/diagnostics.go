package show

import (
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/expect"
)

var codes = map[expect.Verdict]diag.Code{
	expect.Fails: diag.ExpectationFails, expect.Vacuous: diag.ExpectationVacuous, expect.Unknown: diag.ExpectationUnknown,
}

// ruleCodes are those of tests of rules.
var ruleCodes = map[expect.Verdict]diag.Code{expect.Fails: diag.RuleTestFails, expect.Unknown: diag.RuleTestUnknown}

// codeOf is the code of what became of an expectation, or of a test of a rule.
func codeOf(r *expect.Result) diag.Code {
	if r.Kind == expect.RuleKind {
		return ruleCodes[r.Verdict]
	}
	return codes[r.Verdict]
}

// what a result is of.
func what(r *expect.Result) string {
	if r.Kind == expect.RuleKind {
		return "test"
	}
	return "expectation"
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
		d := diag.New(codeOf(e), e.At, "%s: %s %q: %s", e.Owner, what(e), e.Name, said(e))
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
