package main

import (
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/load"
)

func newExplainCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain CODE|FIELD",
		Short: "say what a diagnostic code or a field means",
		Long: `Say what a diagnostic code means, with a bad and a good example, or what a field
of the language takes and which default it has.

  meshc explain MSH2001
  meshc explain service.routes.timeout`,
		Args: cobra.ExactArgs(1),
	}
	format := addOutputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return explain(cmd.OutOrStdout(), args[0], format.value)
	}
	return cmd
}

var codePattern = regexp.MustCompile(`(?i)^MSH[0-9]+$`)

func explain(w io.Writer, subject, format string) error {
	if codePattern.MatchString(subject) {
		return explainCode(w, diag.Code(strings.ToUpper(subject)), format)
	}
	f, err := load.Describe(subject)
	if err != nil {
		return err
	}
	if format == "json" {
		return writeJSON(w, "FieldExplanation", f)
	}
	_, err = io.WriteString(w, fieldText(f))
	return err
}

func explainCode(w io.Writer, code diag.Code, format string) error {
	entry, ok := diag.Lookup(code)
	if !ok {
		return fmt.Errorf("no diagnostic has the code %s", code)
	}
	if format == "json" {
		return writeJSON(w, "CodeExplanation", entry)
	}
	_, err := io.WriteString(w, codeText(entry))
	return err
}

func codeText(e diag.Entry) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s): %s\n\n%s\n", e.Code, e.Severity, e.Title, e.Explain)
	for _, example := range []struct{ word, text string }{{"Bad", e.Bad}, {"Good", e.Good}} {
		if example.text != "" {
			fmt.Fprintf(&b, "\n%s:\n%s\n", example.word, indent(example.text))
		}
	}
	return b.String()
}

func fieldText(f *load.Field) string {
	var b strings.Builder
	required := ""
	if f.Required {
		required = ", required"
	}
	fmt.Fprintf(&b, "%s: %s%s\n", f.Path, f.Want, required)
	if f.Doc != "" {
		fmt.Fprintf(&b, "\n%s\n", f.Doc)
	}
	if len(f.Fields) > 0 {
		fmt.Fprintf(&b, "\nFields: %s\n", strings.Join(f.Fields, ", "))
	}
	return b.String()
}

// indent sets every line off by four columns.
func indent(s string) string {
	return "    " + strings.ReplaceAll(s, "\n", "\n    ")
}
