package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/deploy/install"
)

func newInstallCmd() *cobra.Command {
	var show, definitions bool
	var set []string
	cmd := &cobra.Command{
		Use:   "install --print",
		Short: "print the manifests of an installation in a cluster",
		Long: `install prints what an installation in a cluster consists of: the definitions of
meshc's objects, and in the namespace meshc-system the controller, the webhook that
gives pods their proxies, and what each of them may do. They are those of the Helm
chart deploy/chart and of the kustomize base deploy/base. It changes nothing: who
applies them is who may.

The values that --set changes are those of deploy/chart/values.yaml.

Exit status: 0 printed, 2 could not tell.`,
		Example: `  meshc install --print | kubectl apply --server-side -f -
  meshc install --print --set git.tokenSecret=forge --set git.credentialsFor=https://github.com/org`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !show {
				return errors.New("meshc changes no cluster: say --print, and apply what is printed")
			}
			out, err := manifests(set, definitions)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(out)
			return err
		},
	}
	cmd.Flags().BoolVar(&show, "print", false, "print the manifests")
	cmd.Flags().StringArrayVar(&set, "set", nil, "PATH=VALUE, a value of the chart; may be repeated")
	cmd.Flags().BoolVar(&definitions, "definitions", false, "print the definitions of meshc's objects alone")
	return cmd
}

func manifests(set []string, definitions bool) ([]byte, error) {
	if definitions {
		if len(set) > 0 {
			return nil, errors.New("--definitions have no values to set")
		}
		return install.Definitions()
	}
	v, err := install.Defaults()
	if err != nil {
		return nil, err
	}
	for _, s := range append([]string{"createNamespace=true"}, set...) {
		path, text, found := strings.Cut(s, "=")
		if !found {
			return nil, fmt.Errorf("--set %q is not PATH=VALUE", s)
		}
		if err := v.Set(path, text); err != nil {
			return nil, fmt.Errorf("--set: %w", err)
		}
	}
	return install.Manifests(v)
}
