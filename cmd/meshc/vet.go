package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/load"
)

func newVetCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "vet [DIR]",
		Short: "report everything that is wrong with a mesh",
		Long: `Report everything that is wrong with the mesh in DIR (default "."): shape,
references, conflicts, reachability, security and resilience. It needs no network.

Exit status: 0 no errors, 1 errors, 2 could not tell.`,
		Args: cobra.MaximumNArgs(1),
	}
	format := addOutputFlag(cmd, "github")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return vet(cmd.Context(), cmd.OutOrStdout(), dirArgument(args), format.value)
	}
	return cmd
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
	Errors      int       `json:"errors"`
	Warnings    int       `json:"warnings"`
	Diagnostics diag.List `json:"diagnostics"`
}

func vet(ctx context.Context, w io.Writer, dir, format string) error {
	root, sub, err := findModule(dir)
	if err != nil {
		return err
	}
	res, err := compiler.Compile(ctx, os.DirFS(root), compiler.Options{Load: load.Options{Dir: sub}})
	if err != nil {
		return fmt.Errorf("vet %s: %w", dir, err)
	}
	if err := printVet(w, res, diagPrinter(root), format); err != nil {
		return fmt.Errorf("print diagnostics: %w", err)
	}
	if hasCode(res.Diags, diag.Internal) {
		return &exitError{code: statusUnknown}
	}
	if res.Diags.HasErrors() {
		return answerNo()
	}
	return nil
}

func hasCode(l diag.List, c diag.Code) bool {
	for _, d := range l {
		if d.Code == c {
			return true
		}
	}
	return false
}

func printVet(w io.Writer, res *compiler.Result, p diag.Printer, format string) error {
	switch format {
	case "json":
		result := vetResult{res.Diags.Count(diag.Error), res.Diags.Count(diag.Warning), res.Diags}
		if result.Diagnostics == nil {
			result.Diagnostics = diag.List{}
		}
		return writeJSON(w, "VetResult", result)
	case "github":
		return p.GitHub(w, res.Diags)
	}
	if err := p.Text(w, res.Diags); err != nil {
		return err
	}
	if len(res.Diags) > 0 {
		fmt.Fprintln(w)
	}
	_, err := fmt.Fprintln(w, vetSummary(res))
	return err
}

// vetSummary is the last line of the text.
func vetSummary(res *compiler.Result) string {
	if !res.Diags.HasErrors() {
		found := ""
		if n := len(res.Diags); n > 0 {
			found = ", " + plural(n, "finding")
		}
		return "ok: " + contents(res.Intent) + found
	}
	first := res.Diags[0].Code
	for _, d := range res.Diags {
		if d.Severity == diag.Error {
			first = d.Code
			break
		}
	}
	return fmt.Sprintf("%s, %s; explain a code: meshc explain %s",
		plural(res.Diags.Count(diag.Error), "error"), plural(res.Diags.Count(diag.Warning), "warning"), first)
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
