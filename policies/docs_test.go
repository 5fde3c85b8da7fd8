package policies_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/expect"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/policies"
)

// TestDocument runs the examples of docs/policies.md: the rules can be read,
// each has a test, and the tests hold.
func TestDocument(t *testing.T) {
	page, err := os.ReadFile("../docs/policies.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range policies.Packs() {
		if !strings.Contains(string(page), "`"+p.Line+"`") || !strings.Contains(string(page), "`"+p.Name+"` | "+p.JudgedBy) {
			t.Errorf("the page does not tell of %s, held by %s: %s", p.Name, p.JudgedBy, p.Line)
		}
	}
	in := &intent.Mesh{}
	for i, m := range regexp.MustCompile("(?s)```cue\n(.*?)```").FindAllSubmatch(page, -1) {
		in.Rules = append(in.Rules, intent.RuleFile{Path: []string{"policies/a.cue", "policies/b.cue"}[i], Data: m[1]})
	}
	r, diags, err := policies.TestRules(t.Context(), in, compileText, inProcess, nil)
	if err != nil || len(diags) > 0 || len(r.Results) != 3 {
		t.Fatalf("%v %v: %d tests", err, diags, len(r.Results))
	}
	for _, e := range r.Results {
		if e.Verdict != expect.Holds {
			t.Errorf("%s: %s %v %v", e.Name, e.Verdict, e.Unmet, e.Unknown)
		}
	}
}
