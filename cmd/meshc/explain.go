package main

import "github.com/spf13/cobra"

func newExplainCmd() *cobra.Command {
	return &cobra.Command{Use: "explain", Short: "say what a diagnostic code or a field means"}
}
