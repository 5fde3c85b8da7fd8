package main

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/diag"
)

// commands lists every verb, in the order in which help shows them.
func commands() []*cobra.Command {
	return []*cobra.Command{
		newInitCmd(),
		newVetCmd(),
		newCompileCmd(),
		newDiffCmd(),
		newRouteCmd(),
		newReachCmd(),
		newBisectCmd(),
		newTestCmd(),
		newInjectCmd(),
		newExplainCmd(),
		newUpCmd(),
		newStatusCmd(),
		newWaitCmd(),
		newSuspendCmd(),
		newResumeCmd(),
		newRollbackCmd(),
		newCACmd(),
		newInstallCmd(),
		newCheckCmd(),
	}
}

func newRootCmd() *cobra.Command {
	root := &cobra.Command{
		Use:   "meshc",
		Short: "meshc compiles service-mesh intent written in CUE and keeps proxies in line with Git",
		Long: `meshc compiles service-mesh intent written in CUE (or YAML) and keeps proxies
in line with Git.

Exit status: 0 yes, clean or the same; 1 the answer is no, or they differ;
2 could not tell (usage, I/O, crash, limits).`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	cobra.EnableCommandSorting = false
	root.AddCommand(commands()...)
	return root
}

// run executes one command line and gives the exit status of the process.
func run(ctx context.Context, args []string, in io.Reader, out, errw io.Writer) (status int) {
	defer func() {
		if v := recover(); v != nil {
			status = reportPanic(errw, v)
		}
	}()
	root := newRootCmd()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errw)
	return exitStatus(errw, root.ExecuteContext(ctx))
}

// reportPanic prints a bug of meshc itself as MSH9001.
func reportPanic(w io.Writer, v any) int {
	d := diag.New(diag.Internal, diag.Range{}, "meshc crashed: %v", v)
	fmt.Fprintf(w, "%s[%s]: %s\n%s", d.Severity, d.Code, d.Message, debug.Stack())
	return statusUnknown
}
