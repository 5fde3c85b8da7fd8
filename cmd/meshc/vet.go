package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/fix"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/policies"
)

func newVetCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "vet [DIR]",
		Short: "report everything that is wrong with a mesh",
		Long: `Report everything that is wrong with the mesh in DIR (default "."): shape,
references, conflicts, reachability, security, resilience, and the policies about
meshes: those of ` + "`mesh.policies`" + ` and the rules of policies/*.cue. It needs no network.

  meshc vet                    what is wrong, why, and how to mend it
  meshc vet -o github          annotations of a pull request; also sarif, markdown, json
  meshc vet --fix              make the fixes that are certain, then report the rest
  meshc vet --fix=MSH2002      make the fixes of one code, also where there is a choice
  meshc vet --fix --dry-run    print what they would change, as a unified diff
  meshc vet --snapshot FILE    hold the mesh against a recorded state of clusters too

Exit status: 0 no errors, 1 errors, 2 could not tell, also when there is nothing
in DIR to report on. A dry run gives 1 when there
is something to fix.`,
		Args: cobra.MaximumNArgs(1),
	}
	format := addOutputFlag(cmd, "github", "sarif", "markdown")
	also := addAlsoFlag(cmd, format)
	colour := addColourFlag(cmd)
	fixes := cmd.Flags().String("fix", "", "make fixes: the certain ones, or those of the codes given")
	cmd.Flags().Lookup("fix").NoOptDefVal = certainFixes
	kept := addCacheFlag(cmd)
	dryRun := cmd.Flags().Bool("dry-run", false, "with --fix, print the changes and make none")
	recorded := cmd.Flags().String("snapshot", "", "a recorded state of clusters (docs/snapshot.md) to hold the mesh against")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		v := vetting{snapshot: *recorded, dir: dirArgument(args), format: format.value, colour: colour.on(cmd.OutOrStdout()), fix: *fixes, dryRun: *dryRun, cache: kept, also: also}
		switch {
		case v.fix != "" && v.snapshot != "":
			return errors.New("--snapshot is not for --fix: what a cluster has is not mended in the mesh")
		case v.fix != "" && len(also.files) > 0:
			return errors.New("--also is for what vet reports, not for --fix")
		case v.fix != "":
			return v.mend(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		case v.dryRun:
			return errors.New("--dry-run is for --fix")
		}
		return v.report(cmd.Context(), cmd.OutOrStdout())
	}
	return cmd
}

// vetting is one call of vet.
type vetting struct {
	dir, format string
	colour      bool
	fix         string // "", certainFixes, or codes
	snapshot    string // a file, or ""
	dryRun      bool
	cache       *cacheFlag
	also        *alsoFiles
}

// dirArgument gives the optional argument DIR.
func dirArgument(args []string) string {
	if len(args) == 0 {
		return "."
	}
	return args[0]
}

// vetResult is the JSON of vet.
type vetResult struct {
	Errors      int               `json:"errors"`
	Warnings    int               `json:"warnings"`
	Diagnostics diag.List         `json:"diagnostics"`
	Suppressed  []diag.Suppressed `json:"suppressed"`
}

func (v vetting) report(ctx context.Context, w io.Writer) error {
	root, sub, err := findModule(v.dir)
	if err != nil {
		return err
	}
	compiler.SaveMemory()
	kept, err := v.cache.open()
	if err != nil {
		return err
	}
	opts := compiler.Options{Load: loadOptions(sub, kept)}
	recorded, unread, err := readSnapshot(root, v.snapshot)
	if err != nil {
		return fmt.Errorf("vet %s: %w", v.dir, err)
	}
	opts.Snapshot = recorded
	res, err := compiler.Compile(ctx, os.DirFS(root), opts)
	if err != nil {
		return fmt.Errorf("vet %s: %w", v.dir, err)
	}
	hidden, err := fix.Beyond(ctx, os.DirFS(root), opts, res)
	if err != nil {
		return fmt.Errorf("vet %s: %w", v.dir, err)
	}
	res.Diags = append(append(res.Diags, hidden...), unread...)
	if res.Model != nil {
		now := time.Now()
		violations, err := policies.Mesh(res.Intent, res.Model, now)
		if err != nil {
			return fmt.Errorf("vet %s: %w", v.dir, err)
		}
		found, err := policies.RulesOfMesh(ctx, res.Intent, res.Model, load.RuleEvaluator{}, now)
		if err != nil {
			return fmt.Errorf("vet %s: %w", v.dir, err)
		}
		res.Diags = append(append(res.Diags, violations...), found...)
	}
	res.Diags.Sort()
	if err := nothingThere(v.dir, sub, res); err != nil {
		return err
	}
	p := diagPrinter(root)
	if err := v.also.write(func(w io.Writer, format string) error { return printVet(w, res, p, format) }); err != nil {
		return err
	}
	p.Colour = v.colour
	if err := printVet(w, res, p, v.format); err != nil {
		return fmt.Errorf("print diagnostics: %w", err)
	}
	return vetAnswer(res.Diags)
}

// vetAnswer is the exit status that a list of diagnostics means.
func vetAnswer(l diag.List) error {
	if hasCode(l, diag.Internal) {
		return &exitError{code: statusUnknown}
	}
	if l.HasErrors() {
		return answerNo()
	}
	return nil
}

func hasCode(l diag.List, c diag.Code) bool {
	return slices.ContainsFunc(l, func(d diag.Diagnostic) bool { return d.Code == c })
}

func printVet(w io.Writer, res *compiler.Result, p diag.Printer, format string) error {
	report := diag.Report{Diagnostics: res.Diags, Suppressed: res.Suppressed}
	switch format {
	case "json":
		return writeJSON(w, "VetResult", vetResult{
			Errors: res.Diags.Count(diag.Error), Warnings: res.Diags.Count(diag.Warning),
			Diagnostics: append(diag.List{}, res.Diags.Reasoned()...), Suppressed: append([]diag.Suppressed{}, res.Suppressed...),
		})
	case "github":
		return p.GitHub(w, res.Diags)
	case "sarif":
		return p.SARIF(w, report)
	case "markdown":
		return p.Markdown(w, report, "meshc vet: "+vetSummary(res))
	}
	if err := p.Text(w, res.Diags); err != nil {
		return err
	}
	if len(res.Diags) > 0 {
		fmt.Fprintln(w)
	}
	_, err := fmt.Fprintln(w, vetSummary(res)+vetHint(res.Diags))
	return err
}

// vetSummary says in one line how the mesh stands.
func vetSummary(res *compiler.Result) string {
	found := ""
	if n := len(res.Suppressed); n > 0 {
		found = fmt.Sprintf(", %d suppressed", n)
	}
	if n := res.Diags.CountCode(diag.ReachUnknown); n > 0 {
		found += fmt.Sprintf(", could not decide %s", plural(n, "check"))
	}
	if !res.Diags.HasErrors() {
		if n := len(res.Diags); n > 0 {
			found = ", " + plural(n, "finding") + found
		}
		return "ok: " + contents(res.Intent) + found
	}
	return plural(res.Diags.Count(diag.Error), "error") + ", " + plural(res.Diags.Count(diag.Warning), "warning") + found
}

// vetHint says what to do next about diagnostics.
func vetHint(l diag.List) string {
	hint := ""
	if n := len(l.Fixes(nil)); n > 0 {
		hint = fmt.Sprintf("; meshc vet --fix mends %d", n)
	}
	if i := slices.IndexFunc(l, func(d diag.Diagnostic) bool { return d.Severity == diag.Error }); i >= 0 {
		hint += fmt.Sprintf("; explain a code: meshc explain %s", l[i].Code)
	}
	return hint
}

// contents counts what a mesh holds.
func contents(m *intent.Mesh) string {
	routes := 0
	for _, s := range m.Services {
		routes += len(s.Routes)
	}
	for _, g := range m.Gateways {
		routes += len(g.Routes)
	}
	return fmt.Sprintf("%s, %s, %s, %s", plural(len(m.Services), "service"), plural(len(m.Gateways), "gateway"),
		plural(len(m.Externals), "external"), plural(routes, "route"))
}

// plural says "1 error" and "2 errors".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// diagPrinter renders diagnostics of the module at root, with paths as seen from
// the working directory.
func diagPrinter(root string) diag.Printer {
	full := func(file string) string { return filepath.Join(root, filepath.FromSlash(file)) }
	return diag.Printer{
		Source: func(file string) []byte {
			data, err := os.ReadFile(full(file))
			if err != nil {
				return nil // the frame is left out
			}
			return data
		},
		Path: func(file string) string {
			wd, err := os.Getwd()
			if err != nil {
				return full(file)
			}
			rel, err := filepath.Rel(wd, full(file))
			if err != nil {
				return full(file)
			}
			return rel
		},
	}
}
