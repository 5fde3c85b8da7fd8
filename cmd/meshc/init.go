package main

import "github.com/spf13/cobra"

func newInitCmd() *cobra.Command {
	return &cobra.Command{Use: "init", Short: "write a starter mesh that vets clean"}
}
