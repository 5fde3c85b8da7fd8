package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/load"
)

func newExplainCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain CODE|FIELD [DIR] | policy [NAME [DIR]]",
		Short: "say what a diagnostic code, a field or a policy means, and what a field comes to",
		Long: `Say what a diagnostic code means, with a bad and a good example, or what a field
of the language takes and which default it has.

A path that names an entry says what is in force there, which lines set it, and
which lines of parent directories constrain it. Labels that hold a dot stand in
double quotes; an index is [n]; NAMESPACE/NAME picks one of several entries.

  meshc explain MSH2001
  meshc explain --list
  meshc explain service.routes.timeout
  meshc explain 'service.*.routes.*.timeout'
  meshc explain service.reviews.routes.rest.timeout
  meshc explain 'service.shop/reviews.routes.rest.match[0].headers."x.y"' prod
  meshc explain service.reviews

policy lists the guardrails that ship; with a name it says what one forbids, the line
that switches it on, and what passes and violates it. The name may be that of a policy
or a rule of the mesh, too.

  meshc explain policy canary-step`,
		Args:              cobra.MaximumNArgs(3),
		ValidArgsFunction: completeField,
	}
	format := addOutputFlag(cmd, "markdown")
	list := cmd.Flags().Bool("list", false, "list every diagnostic code")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case *list && len(args) == 0:
			return listCodes(cmd.OutOrStdout(), format.value)
		case *list || len(args) == 0:
			return errors.New("want either CODE or FIELD, or --list")
		case args[0] == "policy":
			args = append(args[1:], "", "")
			return explainPolicy(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), args[0], args[1], format.value)
		case len(args) > 2:
			return fmt.Errorf("want CODE or FIELD, and DIR: %q says nothing", args[2])
		case codePattern.MatchString(args[0]) && len(args) == 1:
			return explainCode(cmd.OutOrStdout(), diag.Code(strings.ToUpper(args[0])), format.value)
		case codePattern.MatchString(args[0]):
			return fmt.Errorf("a code is the same in every mesh, so %q says nothing", args[1])
		}
		dir := ""
		if len(args) > 1 {
			dir = args[1]
		}
		return explainField(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), args[0], dir, format.value)
	}
	return cmd
}

var codePattern = regexp.MustCompile(`(?i)^MSH[0-9]+$`)

// completeField offers the fields that may follow what was typed.
func completeField(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	prefix, fields := "", load.TopLevel()
	if at := strings.LastIndexByte(typed, '.'); at >= 0 {
		f, err := load.Describe(typed[:at])
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		prefix, fields = typed[:at+1], f.Fields
	}
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = prefix + f
	}
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
