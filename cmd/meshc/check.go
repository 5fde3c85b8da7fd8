package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/deploy/install"
	"github.com/meshc/meshc/reconciler/checkup"
)

func newCheckCmd() *cobra.Command {
	var in clusterFlags
	var pre bool
	var ends expiryFlags
	cmd := &cobra.Command{
		Use:   "check [--pre | --admin ADDRESS | --secrets-dir DIR]",
		Short: "say how an installation in a cluster does, or whether it can have one",
		Long: `check looks at the installation in a cluster: its definitions, the controller, the
webhook, and every Mesh beside them. With --pre it looks whether the manifests of
meshc install can be applied, by you. It changes nothing.

It fails before certificates end: of the roots that pods are given, and in Secrets of
namespaces whose pods have proxies. With --admin it looks at the keys of the authority
of a controller instead, with --secrets-dir at the files that a gateway shows, and at no
cluster. A root is late with 180 days left, an issuer with 60, another certificate with
30, or with a quarter of its life if that is less.

Exit status: 0 all is well, 1 something is not, 2 could not tell.`,
		Args: cobra.NoArgs,
	}
	out := addOutputFlag(cmd)
	in.registerKubeconfig(cmd.Flags())
	cmd.Flags().BoolVar(&pre, "pre", false, "look whether meshc can be installed")
	ends.register(cmd.Flags())
	cmd.MarkFlagsMutuallyExclusive("pre", "admin")
	cmd.MarkFlagsMutuallyExclusive("pre", "secrets-dir")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if ends.given() {
			found, err := ends.look(cmd.Context(), time.Now())
			if err != nil {
				return err
			}
			return tellFindings(cmd, out, found)
		}
		config, err := in.config()
		if err != nil {
			return err
		}
		c, err := checkup.New(config, install.Namespace)
		if err != nil {
			return err
		}
		var found []checkup.Finding
		if pre {
			var text []byte
			if text, err = manifests(nil, false); err == nil {
				found, err = c.Pre(cmd.Context(), text)
			}
		} else {
			found, err = c.Installed(cmd.Context())
		}
		if err != nil {
			return err
		}
		return tellFindings(cmd, out, found)
	}
	return cmd
}

// tellFindings prints what was found; the error has the exit status.
func tellFindings(cmd *cobra.Command, out *outputFormat, found []checkup.Finding) error {
	var err error
	if out.value == "json" {
		err = writeJSON(cmd.OutOrStdout(), "CheckResult", checkResult{found})
	} else {
		err = printFindings(cmd.OutOrStdout(), found)
	}
	if err != nil {
		return err
	}
	is := func(s checkup.State) bool {
		return slices.ContainsFunc(found, func(f checkup.Finding) bool { return f.State == s })
	}
	switch {
	case is(checkup.Bad):
		return answerNo()
	case is(checkup.Unknown):
		return &exitError{code: statusUnknown}
	}
	return nil
}

// checkResult is the JSON of check.
type checkResult struct {
	Findings []checkup.Finding `json:"findings"`
}

func printFindings(w io.Writer, found []checkup.Finding) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range found {
		fmt.Fprintf(table, "%s\t%s\t%s\n", f.State, f.What, firstLine(f.Detail))
		if f.Fix != "" {
			fmt.Fprintf(table, "\t\tfix: %s\n", f.Fix)
		}
	}
	return table.Flush()
}
