package main

import (
	"errors"
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
  meshc explain service.routes.timeout
  meshc explain --list`,
		Args: cobra.MaximumNArgs(1),
	}
	format := addOutputFlag(cmd, "markdown")
	list := cmd.Flags().Bool("list", false, "list every diagnostic code")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case *list && len(args) == 0:
			return listCodes(cmd.OutOrStdout(), format.value)
		case *list || len(args) == 0:
			return errors.New("want either CODE or FIELD, or --list")
		}
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
	text := fieldText(f)
	if format == "markdown" {
		text = "```text\n" + text + "```\n"
	}
	_, err = io.WriteString(w, text)
	return err
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
