// Command meshc-controller is the control plane of a mesh: it keeps what
// proxies are given in line with a Git reference, serves it over ADS, and
// issues the certificates of workloads.
//
// Exit status: 0 ended when asked to, 2 could not run.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/load"
)

func main() {
	load.MaybeRunChild()
	compiler.SaveMemoryOf(smallMesh)
	os.Exit(run(os.Args[1:]))
}

// smallMesh is what the controller of some thousand services without proxies of their
// own gets by with, in bytes.
const smallMesh = 160 << 20

// run gives the exit status. The first SIGTERM or SIGINT ends the process in
// order, the second kills it.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	cmd := newControllerCmd()
	cmd.SetArgs(args)
	if err := cmd.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "meshc-controller:", err)
		return 2
	}
	return 0
}
