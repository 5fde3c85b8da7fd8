// Command meshc-proxy is the data plane of a mesh: a proxy that takes an Envoy
// v3 bootstrap and follows an xDS control plane.
//
// Exit status: 0 yes or clean, 1 the answer is no, 2 could not tell or could
// not run.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run(os.Args[1:])) }

// statusError ends the command with a status other than 2.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string { return e.err.Error() }

// Unwrap gives the cause.
func (e *statusError) Unwrap() error { return e.err }

// run gives the exit status. The first SIGTERM or SIGINT lets connections end,
// the second kills.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	cmd := newProxyCmd()
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "meshc-proxy:", err)
	if status := new(statusError); errors.As(err, &status) {
		return status.status
	}
	return 2
}

// tune fits the Go runtime to a proxy of n event loops: its heap is small and
// its garbage young, so collecting seldom saves more than the memory costs,
// and collecting on every CPU of a large machine would disturb the workload
// beside it. GOGC and GOMAXPROCS in the environment win.
func tune(n int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if os.Getenv("GOMAXPROCS") == "" && n > 0 && n+1 < runtime.GOMAXPROCS(0) {
		runtime.GOMAXPROCS(n + 1)
	}
}

func newProxyCmd() *cobra.Command {
	var f proxyFlags
	cmd := &cobra.Command{
		Use:   "meshc-proxy (-c BOOTSTRAP | --config-yaml TEXT)",
		Short: "serve traffic as an Envoy v3 bootstrap says, static or over ADS",
		Long: `meshc-proxy serves traffic as an Envoy v3 bootstrap (YAML or JSON) says. With
--ca-address it makes its own key and has the mesh's authority sign its
certificate. With --last-good it serves its last configuration at once when it
starts while the control plane is away.

SIGTERM lets open requests end and exits. With --hot-restart-socket a second
process with the same flags takes the place of the first without a refused
connection: it takes over the listening sockets, and once it serves the first lets
its requests end, for --drain-timeout at most, and exits.`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), f, cmd.ErrOrStderr())
		},
	}
	f.register(cmd)
	cmd.AddCommand(newValidateCmd(), newAgentCmd(), newCaptureCmd(), newWaitCmd())
	return cmd
}
