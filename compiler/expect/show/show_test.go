package show_test

import (
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/expect"
	"github.com/meshc/meshc/compiler/expect/show"
)

// Tests of rules are told beside expectations in every format, with codes of
// their own.
func TestTestsOfRules(t *testing.T) {
	at := diag.Range{File: "policies/a.cue", Start: diag.Pos{Line: 3, Col: 7}, End: diag.Pos{Line: 3, Col: 9}}
	r := &expect.Report{Written: 2}
	r.Join(&expect.Report{Written: 3, Results: []expect.Result{
		{Owner: "rule owned", Name: "ok", Kind: expect.RuleKind, At: at, Verdict: expect.Holds},
		{Owner: "rule owned", Name: "no", Kind: expect.RuleKind, At: at, Verdict: expect.Fails, Unmet: []string{"says: nothing"}},
		{Owner: "rule owned", Name: "how", Kind: expect.RuleKind, At: at, Verdict: expect.Unknown, Unknown: []string{"MSH1001: no"}},
	}})
	var codes []string
	for _, d := range show.Diagnostics(r) {
		codes = append(codes, string(d.Code)+" "+d.Message)
	}
	if got, want := strings.Join(codes, "\n"), "MSH2194 rule owned: test \"no\": says: nothing\nMSH2195 rule owned: test \"how\": could not be told: MSH1001: no"; got != want {
		t.Errorf("diagnostics:\n%s\nwant\n%s", got, want)
	}
	place := func(at diag.Range) string { return at.String() }
	var text, xml strings.Builder
	if err := show.Text(&text, r, place); err != nil || !strings.HasSuffix(text.String(), "3 of 5 expectations and tests of rules: 1 hold, 1 fail, 1 unknown\n") {
		t.Errorf("%v\n%s", err, &text)
	}
	if err := show.JUnit(&xml, r, place); err != nil || !strings.Contains(xml.String(), `type="MSH2194"`) || !strings.Contains(xml.String(), `errors="1"`) {
		t.Errorf("%v\n%s", err, &xml)
	}
}
