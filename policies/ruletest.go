package policies

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/expect"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/scope"
	"github.com/meshc/meshc/policies/view"
)

// badTest says what is wrong with a test whose rule is over something; ""
// for a rule that there is not.
func badTest(t *intent.RuleTest, over string) string {
	switch {
	case over == "":
		return fmt.Sprintf("is of rule %q, and there is none", literal.Clip(t.Rule.V))
	case (t.Mesh != nil) == (t.View != nil):
		return "says exactly one of `mesh` and `view`"
	case t.Base != nil && (t.View != nil || over == overMesh):
		return "has a `base`, which is for a rule over the change beside `mesh`"
	}
	for _, part := range t.Gives {
		switch {
		case over == overMesh && (part == "change" || part == "base"):
			return fmt.Sprintf("makes up `%s`, which is there for a rule over the change alone", part)
		case part == "now" && t.Now != nil:
			return "says the present twice: `now`, and `now` of its `view`"
		}
	}
	if t.Now != nil {
		if _, err := literal.Time(t.Now.V); err != nil {
			return "has a `now` that is no time: " + err.Error()
		}
	}
	return ""
}

// Compiler compiles the text of a mesh, a file of CUE in its root, as of now.
type Compiler func(ctx context.Context, text string, now time.Time) (*Tree, diag.List, error)

// TestedNow is the present of tests of rules that say no other.
var TestedNow = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// TestRules holds the rules of a mesh against their tests, those that only
// takes; nil takes all. The list says what is wrong with the rules, and which of them no
// test is for; with an error among it nothing was held.
func TestRules(ctx context.Context, in *intent.Mesh, compile Compiler, evaluator Evaluator, only func(name string) bool) (*expect.Report, diag.List, error) {
	out := &expect.Report{}
	r, err := readRules(ctx, in, evaluator)
	if r == nil || err != nil {
		return out, nil, err
	}
	diags := append(slices.Clone(r.diags), r.untested()...)
	if diags.HasErrors() {
		return out, diags, nil
	}
	t := &trial{rules: r, compile: compile}
	for _, test := range r.book.Tests {
		out.Written++
		owner := "rule " + test.Rule.V
		if only != nil && !only(owner+"/"+test.Name.V) {
			continue
		}
		result := expect.Result{Owner: owner, Name: test.Name.V, Kind: expect.RuleKind, At: test.Name.At, Verdict: expect.Holds, Regions: 1}
		if err := t.one(ctx, test, &result); err != nil {
			return nil, nil, err
		}
		out.Results = append(out.Results, result)
	}
	return out, diags, nil
}

// trial is one run of tests.
type trial struct {
	rules   *rules
	compile Compiler
}

func (t *trial) one(ctx context.Context, test *intent.RuleTest, out *expect.Result) error {
	made, err := t.made(ctx, test, out)
	if made == nil || err != nil {
		return err
	}
	verdicts, err := t.rules.verdicts(ctx, intent.RuleRun{Rules: []string{test.Rule.V}, View: made})
	if err != nil {
		return err
	}
	verdict := &verdicts[0]
	if verdict.Failed.HasErrors() {
		unknown(out, verdict.Failed)
		return nil
	}
	out.Unmet = unmet(test.Says, verdict.Found)
	if len(out.Unmet) > 0 {
		out.Verdict = expect.Fails
	}
	return nil
}

func unknown(out *expect.Result, diags diag.List) {
	out.Verdict = expect.Unknown
	for _, d := range diags {
		if d.Severity == diag.Error {
			where := d.Range.String()
			if d.Range.File == MadeFile { // its first line is not the test's
				where = fmt.Sprintf("line %d", d.Range.Start.Line-1)
			}
			out.Unknown = append(out.Unknown, fmt.Sprintf("%s %s: %s", d.Code, where, d.Message))
		}
	}
}

// made is the view that a test makes up; nil, with the result saying why, where
// its mesh does not compile.
func (t *trial) made(ctx context.Context, test *intent.RuleTest, out *expect.Result) ([]byte, error) {
	now := TestedNow
	if test.Now != nil {
		var err error
		if now, err = literal.Time(test.Now.V); err != nil {
			return nil, err
		}
	}
	if test.View != nil {
		return dated(test.View, now)
	}
	v := &view.View{Now: view.Moment(now)}
	after, err := t.tree(ctx, "mesh", test.Mesh, now, out)
	if after == nil || err != nil {
		return nil, err
	}
	v.Mesh = view.OfMesh(after.Model)
	if t.rules.rule(test.Rule.V).Over == overChange {
		before, err := t.tree(ctx, "base", test.Base, now, out)
		if before == nil || err != nil {
			return nil, err
		}
		c := &change{before: before.Model, after: after.Model, now: now}
		v.Base = view.OfMesh(before.Model)
		v.Change = view.OfChange(behave.Meshes(before.Model, after.Model), c.admissions())
	}
	return v.Encode(&intent.Reads{All: true})
}

// dated is a view with the present, unless it says one itself.
func dated(made []byte, now time.Time) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(made, &fields); err != nil {
		return nil, fmt.Errorf("read the view of a test: %w", err)
	}
	if string(fields["now"]) == `""` {
		fields["now"] = json.RawMessage(`"` + view.Moment(now) + `"`)
	}
	return json.Marshal(fields)
}

func (t *trial) tree(ctx context.Context, name string, text *intent.Value[string], now time.Time, out *expect.Result) (*Tree, error) {
	written := ""
	if text != nil {
		written = text.V
	}
	tree, diags, err := t.compile(ctx, written, now)
	if err != nil {
		return nil, fmt.Errorf("compile `%s` of test %q: %w", name, out.Name, err)
	}
	if tree.Model == nil {
		unknown(out, diags)
		for i := range out.Unknown {
			out.Unknown[i] = "`" + name + "` does not compile: " + out.Unknown[i]
		}
		return nil, nil
	}
	return tree, nil
}

// unmet pairs what a rule says with what it must say, and tells what is left of
// either.
func unmet(want []*intent.Said, got []intent.RuleFinding) []string {
	paired := pair(want, got)
	taken := map[int]bool{}
	var out []string
	for i, w := range want {
		if j, ok := paired[i]; ok {
			taken[j] = true
			continue
		}
		out = append(out, "says: want "+wantedText(w)+", and it does not say that")
	}
	for j := range got {
		if !taken[j] {
			out = append(out, "says: "+foundText(&got[j])+", which the test does not list")
		}
	}
	return out
}

// pair is a greatest matching of what is wanted and what was found, by
// augmenting paths: one entry may be met by several findings.
func pair(want []*intent.Said, got []intent.RuleFinding) map[int]int {
	by := map[int]int{} // finding → entry
	var augment func(i int, seen map[int]bool) bool
	augment = func(i int, seen map[int]bool) bool {
		for j := range got {
			if seen[j] || !meets(want[i], &got[j]) {
				continue
			}
			seen[j] = true
			if other, ok := by[j]; !ok || augment(other, seen) {
				by[j] = i
				return true
			}
		}
		return false
	}
	for i := range want {
		augment(i, map[int]bool{})
	}
	out := map[int]int{}
	for j, i := range by {
		out[i] = j
	}
	return out
}

func severity(f *intent.RuleFinding) string {
	if f.Warn {
		return diag.Warning.String()
	}
	return diag.Error.String()
}

func meets(w *intent.Said, f *intent.RuleFinding) bool {
	same := func(want *intent.Value[string], got string) bool {
		return want == nil || got != "" && literal.Ref(want.V, scope.DefaultNamespace) == literal.Ref(got, scope.DefaultNamespace)
	}
	return (w.Severity == nil || w.Severity.V == severity(f)) && (w.Message == nil || strings.Contains(f.Message, w.Message.V)) &&
		same(w.Service, f.Service) && same(w.Gateway, f.Gateway) && same(w.External, f.External) && (w.Route == nil || w.Route.V == f.Route)
}

func wantedText(w *intent.Said) string {
	var parts []string
	for _, p := range []struct {
		name  string
		value *intent.Value[string]
	}{{"", w.Severity}, {"service ", w.Service}, {"gateway ", w.Gateway}, {"external ", w.External}, {"route ", w.Route}} {
		if p.value != nil {
			parts = append(parts, p.name+p.value.V)
		}
	}
	if w.Message != nil {
		parts = append(parts, fmt.Sprintf("%q", w.Message.V))
	}
	if len(parts) == 0 {
		return "anything"
	}
	return strings.Join(parts, ", ")
}

func foundText(f *intent.RuleFinding) string {
	parts := []string{severity(f)}
	for _, p := range []struct{ name, value string }{{"service ", f.Service}, {"gateway ", f.Gateway}, {"external ", f.External}, {"route ", f.Route}} {
		if p.value != "" {
			parts = append(parts, p.name+p.value)
		}
	}
	return strings.Join(append(parts, fmt.Sprintf("%q", f.Message)), ", ")
}
