package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/meshc/meshc/ca"
	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/reconciler"
	"github.com/meshc/meshc/reconciler/discover"
	"github.com/meshc/meshc/reconciler/push/xds"
	"github.com/meshc/meshc/reconciler/source"
	"github.com/meshc/meshc/reconciler/store"
)

// serve runs the roles until ctx ends or one of them fails.
func serve(ctx context.Context, c *config, log *slog.Logger) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := &process{config: c, log: log, fail: cancel}
	if err := p.start(ctx); err != nil {
		cancel(nil) // what was started ends with the context, and stop waits for it
		p.stop()
		return err
	}
	log.Info("serving", "roles", c.roles, "trustDomain", c.trustDomain)
	<-ctx.Done()
	log.Info("ending")
	cancel(nil)
	p.stop()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// process is what runs. stops is undone from the end.
type process struct {
	*config
	log   *slog.Logger
	fail  context.CancelCauseFunc // ends the process with a cause
	stops []func()
}

func (p *process) stop() {
	for i := len(p.stops) - 1; i >= 0; i-- {
		p.stops[i]()
	}
	p.stops = nil
}

func (p *process) onStop(f func()) { p.stops = append(p.stops, f) }

// start brings the roles up in the order that never tells a proxy that there
// is nothing: CA, last good commit, and only then the ports.
func (p *process) start(ctx context.Context) error {
	var state *store.Local
	if p.has(roleReconcile) {
		var err error
		if state, err = store.Open(p.state); err != nil {
			return err
		}
		p.onStop(func() { _ = state.Close() })
		if err := p.sameTrustDomain(state); err != nil {
			return err
		}
	}
	authority, err := ca.Open(ca.Config{Dir: p.caDir, TrustDomain: p.trustDomain, Log: p.log})
	if err != nil {
		return fmt.Errorf("%w (--ca-dir=%s, --trust-domain=%s)", err, p.caDir, p.trustDomain)
	}
	ads := xds.New(xds.Options{})
	if err := p.keepBundle(ctx, authority, ads); err != nil {
		return err
	}
	if p.has(roleReconcile) {
		if err := p.startReconciler(ctx, state, ads); err != nil {
			return err
		}
	}
	if err := p.startServers(authority, ads); err != nil {
		return err
	}
	return p.startAdmin(ctx)
}

// sameTrustDomain is asked before the CA, which would say the same of its keys in
// words of certificates. State that cannot be read is for Restore to tell.
func (p *process) sameTrustDomain(state *store.Local) error {
	if g, err := state.Load(); err == nil && g.Mesh.TrustDomain != p.trustDomain {
		return reconciler.WrongState(g.Mesh.TrustDomain, p.trustDomain)
	}
	return nil
}

// keepBundle gives the roots to ADS and to the file, now and when they change.
func (p *process) keepBundle(ctx context.Context, authority *ca.Authority, ads *xds.Server) error {
	publish := func() error {
		err := ads.SetBundle(p.trustDomain, authority.BundlePEM())
		if p.caRootOut != "" {
			err = errors.Join(err, writeRoots(p.caRootOut, authority.BundlePEM()))
		}
		return err
	}
	changed := authority.WatchBundle(ctx)
	if err := publish(); err != nil {
		return err
	}
	p.background(func() {
		for range changed {
			if err := publish(); err != nil {
				p.log.Error("the new trust bundle could not be published", "error", err)
			}
		}
	})
	return nil
}

// background runs f, which ends with the context, and waits for it at stop.
func (p *process) background(f func()) {
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	p.onStop(func() { <-done })
}

func (p *process) startReconciler(ctx context.Context, state *store.Local, ads *xds.Server) error {
	repo, err := source.Open(p.repo, p.git)
	if err != nil {
		return err
	}
	interval := p.interval
	if interval == 0 && repo.Local() {
		interval = time.Second
	}
	workloads := reconciler.Discover(ctx, &discover.File{Path: p.workloads}, p.log)
	r, err := reconciler.New(reconciler.Options{
		Source: repo, Ref: p.ref, Path: p.path, Compile: compileWith(new(compiler.Session)), Store: state,
		Pusher: reconciler.ADS(ads), Workloads: workloads, TrustDomain: p.trustDomain,
		Interval: interval, AllowEmpty: p.allowEmpty, Log: p.log,
	})
	if err != nil {
		return err
	}
	if err := r.Restore(); err != nil {
		return err
	}
	p.background(func() {
		if err := r.Run(ctx); err != nil {
			p.fail(err)
		}
	})
	return nil
}

// compileWith compiles commit after commit in one session.
func compileWith(s *compiler.Session) func(context.Context, fs.FS) (*compiler.Result, error) {
	return func(ctx context.Context, tree fs.FS) (*compiler.Result, error) {
		return s.Compile(ctx, tree, compiler.Options{Now: time.Now()})
	}
}

// startServers opens the ports.
func (p *process) startServers(authority *ca.Authority, ads *xds.Server) error {
	signing := grpc.NewServer(
		grpc.Creds(credentials.NewTLS(authority.ServerTLS())),
		grpc.MaxRecvMsgSize(64<<10),
		grpc.ConnectionTimeout(10*time.Second),
	)
	authority.Register(signing)
	if err := p.listen("CA", p.caAddress, signing); err != nil {
		return err
	}
	if !p.has(roleServe) {
		return nil
	}
	pushing, err := ads.NewGRPC(adsTLS(authority))
	if err != nil {
		return err
	}
	return p.listen("ADS", p.adsAddress, pushing)
}

// stopTimeout is how long calls under way may take to end. ADS streams never
// end by themselves and are cut; proxies keep what they have.
const stopTimeout = 500 * time.Millisecond

func (p *process) listen(name, address string, server *grpc.Server) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	p.log.Info("listening", "for", name, "address", l.Addr().String())
	p.background(func() {
		if err := server.Serve(l); err != nil {
			p.fail(fmt.Errorf("%s: %w", name, err))
		}
	})
	p.onStop(func() {
		timer := time.AfterFunc(stopTimeout, server.Stop)
		defer timer.Stop()
		server.GracefulStop()
	})
	return nil
}
