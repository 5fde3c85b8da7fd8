// Command demo runs the Bookinfo example on this machine from a fresh Git
// repository: `meshc up` on it for a person to try, or, with -script, the
// routing lab by itself, a commit per step, with a table of what was measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/meshc/meshc/reconciler/local"
	"github.com/meshc/meshc/tools/demo/lab"
)

func main() {
	script := flag.Bool("script", false, "run the routing lab and print a table")
	requests := flag.Int("requests", 10_000, "requests per measured split")
	keep := flag.Bool("keep", false, "keep the directory with the logs")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *script, *requests, *keep); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, script bool, requests int, keep bool) (err error) {
	bin, err := binDir()
	if err != nil {
		return err
	}
	ws, err := lab.NewWorkspace(lab.Source{
		Mesh: filepath.Join("examples", "bookinfo", "mesh"), Bin: bin,
		Gateway: "127.0.0.1:8080", Network: local.DefaultNetwork,
	})
	if err != nil {
		return err
	}
	if keep {
		fmt.Fprintln(os.Stderr, "files are kept in", ws.Dir)
	} else {
		defer func() { err = errors.Join(err, ws.Remove()) }()
	}
	var out io.Writer = os.Stdout
	if script {
		out = os.Stderr // the table alone goes to stdout
	}
	up, err := ws.Up(out, os.Stderr)
	if err != nil {
		return err
	}
	if script {
		err = lab.Run(ctx, lab.Options{Workspace: ws, Up: up, Requests: requests, Table: os.Stdout, Progress: os.Stderr})
		return errors.Join(err, up.Stop(syscall.SIGTERM))
	}
	select {
	case <-up.Ended():
		return up.Err()
	case <-ctx.Done():
		return up.Stop(syscall.SIGTERM)
	}
}

// binDir is where `make build` puts the commands.
func binDir() (string, error) {
	bin, err := filepath.Abs("bin")
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(bin, "meshc")); err != nil {
		return "", errors.New("bin/meshc is not there: run make build in the project's root first")
	}
	return bin, nil
}
