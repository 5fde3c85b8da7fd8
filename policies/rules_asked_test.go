package policies_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/expect"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/policies"
)

// asked is an evaluator that reads rules and answers with what it is given, one
// answer after the other; the last one is repeated.
type asked struct {
	reads int
	views []json.RawMessage // that it was asked about
	says  []answer
}

type answer struct {
	verdicts [][]intent.RuleVerdict
	diags    diag.List
}

func (a *asked) Read(ctx context.Context, files []intent.RuleFile) (*intent.RuleBook, diag.List, error) {
	a.reads++
	return inProcess.Read(ctx, files)
}

func (a *asked) Judge(_ context.Context, _ []intent.RuleFile, _ *intent.RuleBook, runs []intent.RuleRun) ([][]intent.RuleVerdict, diag.List, error) {
	says := a.says[min(len(a.views), len(a.says)-1)]
	a.views = append(a.views, runs[0].View)
	return says.verdicts, says.diags, nil
}

func (a *asked) change(t *testing.T, before, after *policies.Tree) diag.List {
	t.Helper()
	got, err := policies.Compare(before, after, behave.Meshes(before.Model, after.Model), now).Rules(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func failing(code diag.Code) answer {
	return answer{[][]intent.RuleVerdict{{{Rule: "r", Failed: diag.List{diag.New(code, diag.Range{}, "it cannot be told")}}}}, nil}
}

var fine = answer{[][]intent.RuleVerdict{{{Rule: "r"}}}, nil}

// A rule that is asked again is asked about all that there is, not about what
// was made for its first answer.
func TestRulesAreAskedAgainWithAllOfTheView(t *testing.T) {
	a := &asked{says: []answer{failing(diag.RuleFailed), fine}}
	rule := `rule: r: {over: "change", deny: [for e in change.entries if e.risk == "high" {message: "m"}]}`
	if got := a.change(t, compile(t), ruled(compile(t, `, {methods: ["DELETE"]}`, ``), rule)); got.HasErrors() || len(a.views) != 2 {
		t.Fatalf("%d views, %v", len(a.views), got)
	}
	for i, all := range []bool{false, true} {
		var v struct {
			Base   *struct{ Service map[string]any }
			Change struct{ Access []any }
		}
		if err := json.Unmarshal(a.views[i], &v); err != nil {
			t.Fatal(err)
		}
		if (v.Base != nil && len(v.Base.Service) == 3) != all || (len(v.Change.Access) > 0) != all {
			t.Errorf("view %d: %.300s", i, a.views[i])
		}
	}
}

// What broke a limit, or broke, is not tried again.
func TestRulesThatBreakOffAreAskedOnce(t *testing.T) {
	for _, code := range []diag.Code{diag.EvaluationLimit, diag.EvaluationCrash} {
		a := &asked{says: []answer{{nil, diag.List{diag.New(code, diag.Range{}, "too much")}}, fine}}
		got := a.change(t, compile(t), ruled(compile(t), `rule: r: {over: "change", deny: []}`))
		if len(a.views) != 1 || codes(got) != string(code) {
			t.Errorf("asked %d times: %v", len(a.views), got)
		}
	}
}

// A rule of which an evaluation says nothing has not passed.
func TestVerdictsThatAreMissing(t *testing.T) {
	rule := `rule: r: {over: "mesh", deny: []}
rule: s: {over: "mesh", deny: []}
test: t: {rule: "r", view: {}, says: []}`
	for name, c := range map[string]struct {
		says answer
		want string
	}{
		"all of them":     {answer{}, `r "s"`},
		"no run":          {answer{[][]intent.RuleVerdict{}, nil}, `r "s"`},
		"an empty run":    {answer{[][]intent.RuleVerdict{{}}, nil}, `r "s"`},
		"one":             {fine, `s`},
		"one of no rule":  {answer{[][]intent.RuleVerdict{{{Rule: "s"}, {Rule: "other"}}}, nil}, `r`},
		"in any order":    {answer{[][]intent.RuleVerdict{{{Rule: "s"}, {Rule: "r"}}}, nil}, ``},
		"with an error":   {answer{[][]intent.RuleVerdict{{{Rule: "s"}, {Rule: "r"}}}, diag.List{diag.New(diag.EvaluationCrash, diag.Range{}, "x")}}, `x`},
		"with too many":   {answer{[][]intent.RuleVerdict{{{Rule: "x"}, {Rule: "s"}, {Rule: "r"}}}, nil}, ``},
		"more than a run": {answer{[][]intent.RuleVerdict{{{Rule: "s"}, {Rule: "r"}}, {}}, nil}, `r "s"`},
	} {
		t.Run(name, func(t *testing.T) {
			a := &asked{says: []answer{c.says}}
			tree := ruled(compile(t), rule)
			got, err := policies.RulesOfMesh(t.Context(), tree.Intent, tree.Model, a, now)
			if err != nil || got.HasErrors() != (c.want != "") {
				t.Fatalf("%v %v", err, got)
			}
			for _, of := range strings.Fields(c.want) {
				if !strings.Contains(lines(got), strings.Trim(of, `"`)) {
					t.Errorf("nothing of %s: %v", of, got)
				}
			}
			r, diags, err := policies.TestRules(t.Context(), tree.Intent, compileText, a, nil)
			if err != nil || diags.HasErrors() || len(r.Results) != 1 {
				t.Fatalf("%v %v %v", err, diags, r)
			}
			if told := r.Results[0].Verdict == expect.Holds; told != (c.want == "" || c.want == "s") {
				t.Errorf("the test: %+v", r.Results[0])
			}
		})
	}
}

// Rules that are the same on both sides are read once.
func TestEqualRulesAreReadOnce(t *testing.T) {
	const rule, other = `rule: r: {over: "change", deny: []}`, `rule: r: {over: "change", deny: [], why: "x"}`
	for _, c := range []struct {
		base, head string
		reads      int
	}{{rule, rule, 1}, {rule, other, 2}} {
		a := &asked{says: []answer{fine}}
		if got := a.change(t, ruled(compile(t), c.base), ruled(compile(t), c.head)); got.HasErrors() || a.reads != c.reads || len(a.views) != c.reads {
			t.Errorf("%d readings, %d views: %v", a.reads, len(a.views), got)
		}
	}
}
