package load

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/schema"
)

// rulesRequest asks about rules, and not for a mesh: what they are, or, with
// runs, what they find.
type rulesRequest struct {
	Names []string // of all rules, where they are known
	Runs  []intent.RuleRun
}

// RuleEvaluator reads and asks rules, within the limits of a load; the zero
// value has the default ones. Its errors are about running an evaluation.
type RuleEvaluator struct{ Options Options }

// Read reads files of rules. The list says what is wrong with them.
func (e RuleEvaluator) Read(ctx context.Context, files []intent.RuleFile) (*intent.RuleBook, diag.List, error) {
	ans, err := askRules(ctx, files, &rulesRequest{}, e.Options)
	if err != nil {
		return nil, nil, err
	}
	book := ans.Book
	if book == nil {
		book = &intent.RuleBook{Reads: &intent.Reads{}}
	}
	return book, ans.Diags, nil
}

// Judge asks the rules of a book what they find, one list of verdicts for each
// run. The list says why there are none.
func (e RuleEvaluator) Judge(ctx context.Context, files []intent.RuleFile, book *intent.RuleBook, runs []intent.RuleRun) ([][]intent.RuleVerdict, diag.List, error) {
	req := &rulesRequest{Runs: runs}
	for _, r := range book.Rules {
		req.Names = append(req.Names, r.Name.V)
	}
	ans, err := askRules(ctx, files, req, e.Options)
	if err != nil {
		return nil, nil, err
	}
	return ans.Verdicts, ans.Diags, nil
}

func askRules(ctx context.Context, files []intent.RuleFile, ask *rulesRequest, opts Options) (*answer, error) {
	opts.Limits = opts.Limits.withDefaults()
	req := &request{Dir: schema.PolicyDir, Rules: ask}
	for _, f := range files {
		req.Files = append(req.Files, file(f))
	}
	ans, err := answerTo(ctx, req, opts)
	if err != nil {
		return nil, fmt.Errorf("load rules: %w", err)
	}
	ans.Diags.Sort()
	return ans, nil
}

// withoutRules divides files into those of a mesh and those of rules.
func withoutRules(all []file) (mesh []file, rules []intent.RuleFile) {
	mesh = all
	for i, f := range all {
		if isRuleFile(f) {
			mesh = slices.Clone(all[:i])
			break
		}
	}
	for _, f := range all[len(mesh):] {
		if isRuleFile(f) {
			rules = append(rules, intent.RuleFile(f))
		} else {
			mesh = append(mesh, f)
		}
	}
	return mesh, rules
}

// isRuleFile says that a file lies where rules do and is of their package.
func isRuleFile(f file) bool {
	if path.Dir(f.Path) != schema.PolicyDir || path.Ext(f.Path) != ".cue" {
		return false
	}
	for line := range bytes.Lines(f.Data) {
		words := bytes.Fields(line)
		if len(words) == 0 || bytes.HasPrefix(words[0], []byte("//")) || words[0][0] == '@' {
			continue
		}
		return len(words) >= 2 && string(words[0]) == "package" && string(words[1]) == schema.PolicyPackage
	}
	return false
}
