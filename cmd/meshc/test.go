package main

import (
	"context"
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
)

// testFlags of `meshc test`.
type testFlags struct {
	run  string
	kept *cacheFlag
	out  *outputFormat
}

func newTestCmd() *cobra.Command {
	var f testFlags
	cmd := &cobra.Command{
		Use:   "test [DIR]",
		Short: "hold a mesh against what is expected of it",
		Long: `test holds the mesh in DIR (default ".") against its expectations: the ` + "`expect`" + `
of services, of gateways and of the mesh. Examples (` + "`request`" + `) are answered as
meshc route answers them. What is said of every request (` + "`every`" + `), or of who gets in
(` + "`reachedBy`, `notReachedFrom`" + `), is decided for all of them and not by samples. What
does not hold has a request that shows it, with the command that says why.
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
	if opts.Only != nil && len(r.Results) == 0 {
		return fmt.Errorf("--run %q: none of %s is called so", f.run, plural(r.Written, "expectation"))
	}
	if err := f.print(cmd.OutOrStdout(), r, root); err != nil {
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

func (f *testFlags) print(w io.Writer, r *expect.Report, root string) error {
	p := diagPrinter(root)
	place := func(at diag.Range) string {
		at.File = p.Path(at.File)
		return at.String()
	}
	switch f.out.value {
	case "json":
		return writeJSON(w, "TestResult", r)
	case "github":
		return p.GitHub(w, show.Diagnostics(r))
	case "junit":
		return show.JUnit(w, r, place)
	}
	return show.Text(w, r, place)
}
