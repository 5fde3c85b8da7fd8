// Command meshc is the command line: flags go in, a façade does the work, the
// answer is printed. It holds no logic of the mesh itself.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/meshc/meshc/compiler/load"
)

func main() {
	load.MaybeRunChild()
	os.Exit(meshc())
}

// meshc runs the command line of this process and gives its exit status. An
// interrupt cancels the command's context; a second one kills the process.
func meshc() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}
