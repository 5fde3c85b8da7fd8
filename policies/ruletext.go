package policies

import (
	"context"
	"fmt"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
)

// RuleText is what there is to say of a rule of a mesh.
type RuleText struct {
	Name       string   `json:"name"`
	At         string   `json:"at"`
	Over       string   `json:"over"`
	Why        string   `json:"why,omitempty"`
	Exemptions []string `json:"exemptions,omitempty"`
	Tests      []string `json:"tests,omitempty"`
}

// ExplainRule finds a rule of a mesh by its name; nil where there is none of
// it. The list says what is wrong with the rules.
func ExplainRule(ctx context.Context, in *intent.Mesh, evaluator Evaluator, name string) (*RuleText, diag.List, error) {
	r, err := readRules(ctx, in, evaluator)
	if r == nil || err != nil {
		return nil, nil, err
	}
	for _, rule := range r.book.Rules {
		if rule.Name.V != name {
			continue
		}
		out := &RuleText{Name: name, At: rule.Name.At.String(), Over: rule.Over, Why: rule.Why}
		for _, x := range rule.Exemptions {
			if e, err := readExemption(x); err == nil {
				out.Exemptions = append(out.Exemptions, fmt.Sprintf("%s: %s, by %s until %s: %s", e.name, e.what(), e.owner, x.Until.V, x.Reason.V))
			}
		}
		for _, t := range r.book.Tests {
			if t.Rule.V == name {
				out.Tests = append(out.Tests, t.Name.V)
			}
		}
		return out, r.diags, nil
	}
	return nil, r.diags, nil
}

// Text is what `meshc explain policy NAME` prints.
func (r *RuleText) Text() string {
	var b strings.Builder
	verb := map[string]string{overMesh: "vet", overChange: "diff"}[r.Over]
	fmt.Fprintf(&b, "%s: a rule over the %s, at %s\n\nJudged by `meshc %s`; what it finds is %s.\n", r.Name, r.Over, r.At, verb, diag.RuleFinding)
	if r.Why != "" {
		fmt.Fprintf(&b, "\nWhy: %s\n", r.Why)
	}
	for _, list := range []struct {
		title string
		lines []string
	}{{"Exemptions", r.Exemptions}, {"Tests", r.Tests}} {
		if len(list.lines) > 0 {
			fmt.Fprintf(&b, "\n%s:\n  %s\n", list.title, strings.Join(list.lines, "\n  "))
		}
	}
	return b.String()
}

// KindOf names the kind of a policy of `mesh.policies`, as the language does.
func KindOf(in *intent.Policy) string {
	var s says
	if s.read(in) != nil {
		return ""
	}
	return s.kind
}
