package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/policies"
)

// policyExplanation is the JSON of `meshc explain policy NAME`: a guardrail that
// ships, or a rule of the mesh.
type policyExplanation struct {
	*policies.Pack
	Rule *policies.RuleText `json:"rule,omitempty"`
}

// explainPolicy explains the guardrail of a name: one that ships, a policy of the
// mesh at dir, or one of its rules; those of the mesh come first where dir is
// given. Without a name it lists those that ship.
func explainPolicy(ctx context.Context, w, errw io.Writer, name, dir, format string) error {
	if name == "" {
		return listPolicies(w, format)
	}
	pack, ships := policies.PackOf(name)
	x := &policyExplanation{Pack: &pack}
	if !ships || dir != "" {
		own, err := policyOfMesh(ctx, errw, name, dir)
		switch {
		case err != nil:
			return err
		case own != nil:
			x = own
		case !ships:
			return fmt.Errorf("neither a policy that ships, nor a policy or rule of the mesh is called %q; those that ship: %s", name, shipped())
		}
	}
	text := x.text()
	switch format {
	case "json":
		return writeJSON(w, "PolicyExplanation", x)
	case "markdown":
		text = "```text\n" + text + "```\n"
	}
	_, err := io.WriteString(w, text)
	return err
}

func (x *policyExplanation) text() string {
	if x.Rule != nil {
		return x.Rule.Text()
	}
	return x.Pack.Text()
}

func listPolicies(w io.Writer, format string) error {
	if format == "json" {
		return writeJSON(w, "PolicyList", map[string]any{"policies": policies.Packs()})
	}
	for _, p := range policies.Packs() {
		line := fmt.Sprintf("%-20s %s\n", p.Name, p.Title)
		if format == "markdown" {
			line = fmt.Sprintf("- `%s`: %s\n", p.Name, p.Title)
		}
		if _, err := io.WriteString(w, line); err != nil {
			return err
		}
	}
	return nil
}

// shipped names the guardrails that ship.
func shipped() string {
	var names []string
	for _, p := range policies.Packs() {
		names = append(names, p.Name)
	}
	return strings.Join(names, ", ")
}

// policyOfMesh finds a name among the policies and the rules of a mesh; nil where
// it has none of it. What is wrong with the mesh goes to errw.
func policyOfMesh(ctx context.Context, errw io.Writer, name, dir string) (*policyExplanation, error) {
	root, sub, err := findModule(dirArgument(nonEmpty(dir)))
	if err != nil && dir != "" {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("no policy that ships is called %q, and there is no mesh to look in; those that ship: %s", name, shipped())
	}
	in, diags, err := load.Mesh(ctx, os.DirFS(root), load.Options{Dir: sub})
	if err != nil {
		return nil, err
	}
	found, wrong, err := policyOf(ctx, in, name)
	diags = append(diags, wrong...)
	if printing := diagPrinter(root).Text(errw, diags); printing != nil {
		return nil, printing
	}
	if err == nil && found == nil && diags.HasErrors() {
		err = fmt.Errorf("the mesh cannot be read, so that it cannot be told whether a policy or rule of it is called %q", name)
	}
	return found, err
}

// policyOf finds a name in a mesh, which is nil where it could not be read. The
// list says what is wrong with its rules.
func policyOf(ctx context.Context, in *intent.Mesh, name string) (*policyExplanation, diag.List, error) {
	if in == nil {
		return nil, nil, nil
	}
	for _, p := range in.Config.Policies {
		if p.Name.V != name {
			continue
		}
		pack, ok := policies.PackOf(policies.KindOf(p))
		if !ok {
			return nil, nil, fmt.Errorf("policy %q of the mesh forbids nothing that could be explained: `meshc vet` says what is wrong with it", name)
		}
		return &policyExplanation{Pack: &pack}, nil, nil
	}
	rule, wrong, err := policies.ExplainRule(ctx, in, load.RuleEvaluator{}, name)
	if rule == nil || err != nil {
		return nil, wrong, err
	}
	return &policyExplanation{Rule: rule}, wrong, nil
}

// nonEmpty is a list of one argument, if there is one.
func nonEmpty(arg string) []string {
	if arg == "" {
		return nil
	}
	return []string{arg}
}
