package main

import "github.com/spf13/cobra"

func newVetCmd() *cobra.Command {
	return &cobra.Command{Use: "vet", Short: "report everything that is wrong with a mesh"}
}
