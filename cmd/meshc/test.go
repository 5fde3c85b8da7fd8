package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/expect"
	"github.com/meshc/meshc/compiler/expect/show"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/policies"
)

// testFlags of `meshc test`.
type testFlags struct {
	run  string
	kept *cacheFlag
	out  *outputFormat
	also *alsoFiles
}

func newTestCmd() *cobra.Command {
	var f testFlags
	cmd := &cobra.Command{
		Use:   "test [DIR]",
		Short: "hold a mesh against what is expected of it, and rules against their tests",
		Long: `test holds the mesh in DIR (default ".") against its expectations: the ` + "`expect`" + `
of services, of gateways and of the mesh. Examples (` + "`request`" + `) are answered as
meshc route answers them. What is said of every request (` + "`every`" + `), or of who gets in
(` + "`reachedBy`, `notReachedFrom`" + `), is decided for all of them and not by samples. What
does not hold has a request that shows it, with the command that says why. The tests of
rules (policies/*.cue) hold what each rule says of a mesh that is made up.
It needs no network. An expectation about nothing fails.

Exit status: 0 all hold, also where there are none; 1 one does not; 2 could not
tell, also when the mesh does not compile.`,
		Example: `  meshc test
  meshc test --run 'payments/.*' prod
  meshc test -o junit > expectations.xml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runTest(cmd, &f, dirArgument(args)) },
	}
	cmd.Flags().StringVar(&f.run, "run", "", "only expectations whose \"<kind> <namespace>/<owner>/<name>\" this expression matches a part of")
	f.kept = addCacheFlag(cmd)
	f.out = addOutputFlag(cmd, "github", "junit")
	f.also = addAlsoFlag(cmd, f.out)
	return cmd
}

func runTest(cmd *cobra.Command, f *testFlags, dir string) error {
	opts := expect.Options{Now: time.Now()}
	if f.run != "" {
		var err error
		if opts.Only, err = regexp.Compile(f.run); err != nil {
			return fmt.Errorf("--run: %w", err)
		}
	}
	root, sub, err := findModule(dir)
	if err != nil {
		return err
	}
	res, err := f.compile(cmd.Context(), cmd.ErrOrStderr(), root, sub, dir)
	if err != nil {
		return err
	}
	r := expect.Run(res.Intent, res.Model, opts)
	if err := f.rules(cmd.Context(), cmd.ErrOrStderr(), root, res.Intent, opts.Only, r); err != nil {
		return fmt.Errorf("test %s: %w", dir, err)
	}
	if opts.Only != nil && len(r.Results) == 0 {
		return fmt.Errorf("--run %q: none of %s is called so", f.run, plural(r.Written, "expectation"))
	}
	print := func(w io.Writer, format string) error { return printTests(w, format, r, root) }
	if err := f.also.write(print); err != nil {
		return err
	}
	if err := print(cmd.OutOrStdout(), f.out.value); err != nil {
		return fmt.Errorf("print expectations: %w", err)
	}
	switch {
	case r.Count(expect.Fails)+r.Count(expect.Vacuous) > 0:
		return answerNo()
	case r.Count(expect.Unknown) > 0:
		return &exitError{code: statusUnknown}
	}
	return nil
}

// rules adds what became of the tests of rules; what is wrong with the rules
// themselves is told beside.
func (f *testFlags) rules(ctx context.Context, errw io.Writer, root string, in *intent.Mesh, only *regexp.Regexp, r *expect.Report) error {
	var wanted func(string) bool
	if only != nil {
		wanted = only.MatchString
	}
	tests, diags, err := policies.TestRules(ctx, in, compileText, load.RuleEvaluator{}, wanted)
	if err != nil {
		return err
	}
	if err := diagPrinter(root).Text(errw, diags); err != nil {
		return err
	}
	if diags.HasErrors() {
		return errors.New("the rules cannot be read")
	}
	r.Join(tests)
	return nil
}

// compileText compiles a mesh of one file, that a test of a rule makes up.
func compileText(ctx context.Context, text string, now time.Time) (*policies.Tree, diag.List, error) {
	fsys, err := policies.Made(text)
	if err != nil {
		return nil, nil, err
	}
	res, err := compiler.Compile(ctx, fsys, compiler.Options{Now: now})
	if err != nil {
		return nil, nil, err
	}
	return &policies.Tree{Intent: res.Intent, Model: res.Model}, res.Diags, nil
}

// compile gives intent and model of a mesh without errors.
func (f *testFlags) compile(ctx context.Context, errw io.Writer, root, sub, dir string) (*compiler.Result, error) {
	kept, err := f.kept.open()
	if err != nil {
		return nil, err
	}
	res, err := compiler.Compile(ctx, os.DirFS(root), compiler.Options{Load: loadOptions(sub, kept)})
	if err != nil {
		return nil, fmt.Errorf("compile %s: %w", dir, err)
	}
	if res.Model == nil {
		return nil, notCompiled(errw, diagPrinter(root), res.Diags, dir)
	}
	return res, nil
}

// printTests writes what became of expectations in a format.
func printTests(w io.Writer, format string, r *expect.Report, root string) error {
	p := diagPrinter(root)
	place := func(at diag.Range) string {
		at.File = p.Path(at.File)
		return at.String()
	}
	switch format {
	case "json":
		return writeJSON(w, "TestResult", r)
	case "github":
		return p.GitHub(w, show.Diagnostics(r))
	case "junit":
		return show.JUnit(w, r, place)
	}
	return show.Text(w, r, place)
}
