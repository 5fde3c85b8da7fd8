package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/dataplane"
	"github.com/meshc/meshc/dataplane/bootstrap"
)

func newValidateCmd() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "validate -c BOOTSTRAP",
		Short: "say whether a bootstrap is one that this proxy would serve",
		Long: `validate reads a bootstrap and opens no socket.
Exit status: 0 it would be served, 1 it would be refused, 2 it could not be read.`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := bootstrap.Load(file)
			if err == nil {
				err = dataplane.Validate(b)
			}
			refused := new(bootstrap.Error)
			switch {
			case errors.As(err, &refused):
				return &statusError{status: 1, err: err}
			case err != nil:
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: ok\n", file)
			return err
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "", "Envoy v3 bootstrap file, YAML or JSON")
	if err := cmd.MarkFlagRequired("config"); err != nil {
		panic(err) // the name is the flag above
	}
	return cmd
}
