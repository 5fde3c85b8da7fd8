package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/meshc/meshc/ca"
	"github.com/meshc/meshc/ca/federation"
	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/reconciler"
	"github.com/meshc/meshc/reconciler/discover"
	"github.com/meshc/meshc/reconciler/push/xds"
	"github.com/meshc/meshc/reconciler/source"
	"github.com/meshc/meshc/reconciler/store"
)

// serve runs the roles until it is asked to end, or one of them fails.
func serve(asked context.Context, c *config, log *slog.Logger) error {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(asked))
	defer cancel(nil)
	starting := context.AfterFunc(asked, func() { cancel(nil) })
	p := &process{config: c, log: log, fail: cancel, started: time.Now()}
	if err := p.start(ctx); err != nil {
		cancel(nil) // what was started ends with the context, and stop waits for it
		p.stop()
		return err
	}
	log.Info("serving", "roles", c.roles, "trustDomain", c.trustDomain)
	if starting() {
		p.awaitEnd(asked, ctx)
	}
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

	inCluster *inCluster // nil: what serves is in the state directory

	others *federation.Follower // of the bundles of other trust domains; nil: of none

	started   time.Time
	signer    *ca.Authority                // nil: this process has none
	metered   atomic.Pointer[ca.Authority] // the same, once there is one, for those who ask before all has started
	ads       atomic.Pointer[xds.Server]   // nil: there is none (yet)
	published atomic.Uint64                // sequence of the trust bundle that ads has
	trusted   func() error                 // why the webhook has no certificate; nil where there is no webhook
	ending    atomic.Bool                  // asked to end, and answering for a moment more
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
	begin := p.startServing
	if p.injectAlone() {
		begin = p.startInjectAlone
	}
	if err := begin(ctx); err != nil {
		return err
	}
	if err := p.startProbe(ctx); err != nil {
		return err
	}
	return p.startAdmin(ctx)
}

// startServing starts the roles that have to do with proxies.
func (p *process) startServing(ctx context.Context) error {
	var state *store.Local
	if p.has(roleReconcile) && p.mesh == "" {
		var err error
		if state, err = store.Open(p.state); err != nil {
			return err
		}
		p.onStop(func() { _ = state.Close() })
		if err := p.sameTrustDomain(state); err != nil {
			return err
		}
	}
	authority, err := p.openAuthority()
	if err != nil {
		return err
	}
	p.signer = authority
	p.metered.Store(authority)
	ads := xds.New(xds.Options{Trusted: authority.Trusts, Genuine: authority.Genuine})
	aliases, err := aliasBundles(p.aliasRoots, p.trustDomain)
	if err != nil {
		return err
	}
	if err := p.startFederation(ctx, authority, aliases); err != nil {
		return err
	}
	if err := p.keepBundle(ctx, authority, ads, aliases); err != nil {
		return err
	}
	if p.has(roleServe) {
		p.ads.Store(ads)
	}
	p.background(func() { authority.Run(ctx) })
	switch {
	case p.mesh != "":
		err = p.startCluster(ctx, ads, aliases)
	case p.has(roleReconcile):
		err = p.startReconciler(ctx, state, ads, aliases)
	}
	if err != nil {
		return err
	}
	if err := p.startServers(authority, ads); err != nil {
		return err
	}
	return p.startInject(ctx)
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
func (p *process) keepBundle(ctx context.Context, authority *ca.Authority, ads *xds.Server, aliases []xds.Bundle) error {
	publish := func() error {
		content := authority.Bundle()
		others, nameless := federated(authority.Federated())
		if len(nameless) > 0 {
			p.log.Warn("proxies are not given the roots of other trust domains that do not name it", "trustDomains", nameless)
		}
		err := ads.SetBundle(p.trustDomain, authority.BundlePEM(), slices.Concat(aliases, others)...)
		if err == nil {
			p.published.Store(content.Sequence)
		}
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

func (p *process) startReconciler(ctx context.Context, state *store.Local, ads *xds.Server, aliases []xds.Bundle) error {
	repo, err := source.Open(p.repo, p.git)
	if err != nil {
		return err
	}
	gate, err := repo.NewGate(p.policy)
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
		Pusher: reconciler.ADS(ads), Workloads: workloads, TrustDomain: p.trustDomain, Vouched: p.vouched(aliases),
		Interval: interval, AllowEmpty: p.allowEmpty, Gate: gate, Log: p.log,
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
	return p.startWebhook(ctx, r.Wake)
}

// compileWith compiles commit after commit in one session.
func compileWith(s *compiler.Session) func(context.Context, fs.FS) (*compiler.Result, error) {
	return func(ctx context.Context, tree fs.FS) (*compiler.Result, error) {
		return s.Compile(ctx, tree, compiler.Options{Now: time.Now()})
	}
}

// startServers opens the ports.
func (p *process) startServers(authority *ca.Authority, ads *xds.Server) error {
	signing := grpc.NewServer(authority.ServerOptions()...)
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
