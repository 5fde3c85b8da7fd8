// Command demo runs the Bookinfo example on this machine from a fresh Git
// repository: `meshc up` on it for a person to try, or, with -script, the
// routing lab by itself, a commit per step, with a table of what was measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
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

func run(ctx context.Context, script bool, requests int, keep bool) error {
	ws, err := newWorkspace()
	if err != nil {
		return err
	}
	if keep {
		fmt.Fprintln(os.Stderr, "files are kept in", ws.dir)
	} else {
		defer os.RemoveAll(ws.dir)
	}
	up, err := ws.up(script)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- up.Wait() }()
	if !script {
		select {
		case err := <-ended:
			return err
		case <-ctx.Done():
			return stopUp(up, ended)
		}
	}
	lab := &lab{ws: ws, requests: requests, upEnded: ended}
	err = lab.run(ctx)
	return errors.Join(err, stopUp(up, ended))
}

// stopUp ends `meshc up`, which ends everything that it started.
func stopUp(up *exec.Cmd, ended chan error) error {
	_ = up.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-ended:
		return err
	case <-time.After(30 * time.Second):
		_ = up.Process.Kill()
		<-ended
		return errors.New("meshc up did not end within 30 s of SIGTERM")
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
