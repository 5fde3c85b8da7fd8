package dataplane_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	spiffe "github.com/spiffe/go-spiffe/v2/workloadapi"

	"github.com/meshc/meshc/ca"
	"github.com/meshc/meshc/ca/catest"
	"github.com/meshc/meshc/dataplane"
	"github.com/meshc/meshc/dataplane/engine"
	"github.com/meshc/meshc/dataplane/identity"
)

// Issue 7: the application gets its identity from its proxy, and from the process that
// takes the place of the proxy.
func TestWorkloadAPIIsHandedOn(t *testing.T) {
	const cart = "spiffe://mesh.example/ns/shop/sa/cart"
	_, text := hello(t)
	srv := catest.Run(t, ca.Config{})
	dir, err := os.MkdirTemp("", "dp") // short: a socket address holds 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	opts := dataplane.Options{
		Bootstrap: parse(t, text), Workers: 1, DrainTimeout: 5 * time.Second, Log: slog.New(slog.DiscardHandler),
		AdminSocket: filepath.Join(dir, "admin"), HotRestart: filepath.Join(dir, "restart"), Workload: filepath.Join(dir, "api"), WorkloadMode: 0o666,
		Identity: &identity.Config{CAAddress: srv.Addr, CARootFile: srv.RootFile, TokenFile: srv.TokenFile(t, cart), Dir: filepath.Join(dir, "id"), Log: slog.New(slog.DiscardHandler)},
	}
	run := func() (ended chan error, stop func()) {
		ctx, cancel := context.WithCancel(context.Background())
		ended, started := make(chan error, 1), make(chan struct{})
		o := opts
		o.Started = func(*engine.Engine) { close(started) }
		go func() { ended <- dataplane.Run(ctx, o) }()
		select {
		case <-started:
		case err := <-ended:
			t.Fatalf("it has ended: %v", err)
		}
		return ended, cancel
	}
	first, stopFirst := run()
	defer stopFirst()
	source, err := spiffe.NewX509Source(t.Context(), spiffe.WithClientOptions(spiffe.WithAddr("unix://"+opts.Workload)))
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	if svid, err := source.GetX509SVID(); err != nil || svid.ID.String() != cart {
		t.Fatalf("%v, %v", svid, err)
	}
	if info, err := os.Lstat(opts.Workload); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("%v, %v", info, err)
	}
	second, stopSecond := run()
	defer stopSecond()
	if err := <-first; err != nil {
		t.Errorf("the first process: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for { // until the second has the socket
		if svid, err := spiffe.FetchX509SVID(ctx, spiffe.WithAddr("unix://"+opts.Workload)); err == nil {
			if svid.ID.String() != cart {
				t.Errorf("identity %q", svid.ID)
			}
			break
		} else if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	stopSecond()
	if err := <-second; err != nil {
		t.Errorf("the second process: %v", err)
	}
	if _, err := os.Lstat(opts.Workload); err == nil {
		t.Error("the socket was left behind")
	}
}

func TestWorkloadAPINeedsAnIdentity(t *testing.T) {
	_, text := hello(t)
	err := dataplane.Run(t.Context(), dataplane.Options{Bootstrap: parse(t, text), Workers: 1, Workload: filepath.Join(t.TempDir(), "api"), Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "identity") {
		t.Error(err)
	}
}
