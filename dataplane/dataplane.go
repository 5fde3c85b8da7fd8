// Package dataplane is the proxy as a whole: from a bootstrap to traffic. Run
// puts the parts together: identity, ADS client, snapshot builder, engine and
// admin endpoint.
package dataplane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/meshc/meshc/dataplane/bootstrap"
	"github.com/meshc/meshc/dataplane/engine"
	"github.com/meshc/meshc/dataplane/identity"
	"github.com/meshc/meshc/dataplane/identity/secretfile"
	"github.com/meshc/meshc/dataplane/snapshot/build"
	"github.com/meshc/meshc/dataplane/telemetry"
)

// Options of Run. Bootstrap is required.
type Options struct {
	Bootstrap *bootstrap.Bootstrap
	Workers   int // event loops, 0 = one per CPU

	// Identity is where the proxy's certificate comes from; nil: it has none,
	// and every TLS handshake fails.
	Identity *identity.Config
	LastGood string // directory of the last good configuration; "" = none
	// Secrets is the directory of the certificates that the mesh names; "" = none,
	// and a handshake that needs one fails.
	Secrets string
	// AdminSocket is the admin endpoint's unix socket where the bootstrap
	// names no address; "" = no endpoint.
	AdminSocket string
	// Workload is the unix socket of the SPIFFE Workload API, for the application
	// beside the proxy; "" = none. Whoever can open it has the identity, so its mode is
	// asked for: WorkloadMode, 0 = 0600.
	Workload     string
	WorkloadMode os.FileMode
	// HotRestart is a unix socket: a process that serves there hands its listening
	// sockets over to this one and retires once this one serves; this one then
	// serves there. "" = neither.
	HotRestart string

	DrainTimeout time.Duration    // of connections when ctx ends, 0 = 30 s
	Lookup       build.LookupFunc // nil: the system's resolver
	Log          *slog.Logger     // nil: slog.Default()

	// Started is called once, when traffic is served for the first time; nil: nobody.
	Started func(*engine.Engine)
}

// defaultDrain is long for a request and short for whoever waits for an exit.
const defaultDrain = 30 * time.Second

// Run serves until ctx ends or the admin endpoint is told to quit, then lets
// connections end, for DrainTimeout at most. It gives an error when the proxy
// could not start or what it stands on failed.
func Run(ctx context.Context, opts Options) error {
	if opts.DrainTimeout == 0 {
		opts.DrainTimeout = defaultDrain
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := newProxy(opts, cancel)
	return errors.Join(p.run(ctx), p.shutdown())
}

// proxy is one running proxy.
type proxy struct {
	opts    Options
	quit    context.CancelFunc
	started time.Time
	metrics *metrics
	compact *compactor
	state   state
	succession

	// Made by run, in this order; nil before.
	source   *identity.Source
	secrets  *build.Secrets
	resolver *build.Resolver
	builder  *build.Builder

	mu     sync.Mutex
	engine *engine.Engine

	live     context.Context // ends after connections have
	end      context.CancelFunc
	parts    sync.WaitGroup // what lives until end
	failures chan error     // of parts; the first ends the proxy
}

func newProxy(opts Options, quit context.CancelFunc) *proxy {
	registry := telemetry.New(workers(opts.Workers))
	registry.KeepOnly(opts.Bootstrap.Counts)
	p := &proxy{
		opts:     opts,
		quit:     quit,
		started:  time.Now(),
		metrics:  newMetrics(registry),
		compact:  newCompactor(),
		failures: make(chan error, 1),
	}
	p.state.bootstrap = opts.Bootstrap.Proto
	p.live, p.end = context.WithCancel(context.Background())
	return p
}

// run starts the parts and returns when the proxy is to end.
func (p *proxy) run(ctx context.Context) error {
	if err := p.succeed(ctx); err != nil {
		return err
	}
	if err := p.openIdentity(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // told to stop before there was anything to stop
		}
		return err
	}
	if err := p.startEngine(); err != nil {
		return err
	}
	p.background(p.compact.run)
	p.background(p.followTrust)
	config, err := p.configure()
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		config(ctx)
	}()
	select {
	case <-ctx.Done():
	case err = <-p.failures:
	}
	stop()
	<-done // no update comes after this
	return err
}

// background runs a part until the proxy ends; its failure ends the proxy.
func (p *proxy) background(part func(context.Context) error) {
	p.parts.Go(func() {
		if err := part(p.live); err != nil {
			p.fail(err)
		}
	})
}

// fail ends the proxy with the first failure.
func (p *proxy) fail(err error) {
	select {
	case p.failures <- err:
	default:
	}
}

// openIdentity waits for a certificate: without one the control plane does not
// talk to the proxy.
func (p *proxy) openIdentity(ctx context.Context) error {
	var current build.Identity
	if p.opts.Identity != nil {
		source, err := identity.Open(*p.opts.Identity)
		if err != nil {
			return err
		}
		p.background(func(ctx context.Context) error { source.Run(ctx); return nil })
		if _, err := source.Wait(ctx); err != nil {
			return err
		}
		p.state.identity.Store(source)
		p.source, current = source, source
	}
	if !p.succeeds() {
		if err := p.serveWorkload(); err != nil {
			return err
		}
	}
	p.secrets = build.NewSecrets(current)
	if p.opts.Identity != nil && p.opts.Identity.Now != nil {
		p.secrets.SetClock(p.opts.Identity.Now)
	}
	if err := p.openSecrets(); err != nil {
		return err
	}
	p.resolver = build.NewResolver(p.opts.Lookup)
	p.builder = build.New(p.secrets, p.resolver)
	return nil
}

// openSecrets keeps the certificates that the mesh names fresh.
func (p *proxy) openSecrets() error {
	if p.opts.Secrets == "" {
		return nil
	}
	store, err := secretfile.Open(p.opts.Secrets, p.opts.Log)
	if err != nil {
		return err
	}
	p.secrets.ReadFiles(store)
	p.background(func(ctx context.Context) error { store.Run(ctx); return store.Close() })
	return nil
}

func (p *proxy) startEngine() error {
	e, err := engine.New(engine.Options{
		Workers:   workers(p.opts.Workers),
		Log:       p.opts.Log,
		Telemetry: p.metrics.registry,
		Identity:  p.spiffeID(),
		Node:      p.opts.Bootstrap.Proto.GetNode().GetId(),
		Self:      selfOf(p.opts.Bootstrap.Proto.GetNode(), p.spiffeID()),
		Inherit:   p.inherit,
	})
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.engine = e
	p.mu.Unlock()
	return p.pushMetrics(e.Dial())
}

func (p *proxy) spiffeID() string {
	if p.source == nil {
		return ""
	}
	if current := p.source.Current(); current != nil {
		return current.SPIFFEID
	}
	return ""
}

// configure gives the part that feeds the engine.
func (p *proxy) configure() (func(context.Context), error) {
	if p.opts.Bootstrap.ADS != nil {
		return p.overADS()
	}
	return p.fromFile()
}

// fromFile applies the bootstrap's own resources, and again when DNS changes.
func (p *proxy) fromFile() (func(context.Context), error) {
	set := build.NewSet()
	set.Digest = "static"
	for _, r := range p.opts.Bootstrap.Static {
		set.Add(r)
	}
	if err := p.apply(set); err != nil {
		return nil, err
	}
	return func(ctx context.Context) {
		for {
			select {
			case <-ctx.Done():
				return
			case <-p.resolver.Changed():
				if err := p.apply(set); err != nil {
					p.opts.Log.Error("could not apply new addresses", "error", err)
				}
			}
		}
	}, nil
}

// apply puts a set in force, whole or not at all. While connections drain
// there is nothing left to put it in force for.
func (p *proxy) apply(set *build.Set) error {
	if p.state.isDraining() {
		return nil
	}
	config, err := p.builder.Build(set)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if err := p.engine.Apply(config); err != nil {
		return err
	}
	p.compact.note()
	p.metrics.serves(config.Digest)
	if !p.state.goLive() {
		return nil
	}
	if err := p.takeOver(); err != nil {
		p.fail(err)
	}
	if p.opts.Started != nil {
		p.opts.Started(p.engine)
	}
	return nil
}

// shutdown lets connections end, then ends everything else.
func (p *proxy) shutdown() error {
	p.state.drain()
	p.mu.Lock()
	e := p.engine
	p.mu.Unlock()
	var err error
	if e != nil {
		ctx, cancel := context.WithTimeout(context.Background(), p.opts.DrainTimeout)
		if drainErr := e.Drain(ctx); drainErr != nil {
			p.opts.Log.Warn("connections were cut", "error", drainErr)
		}
		cancel()
		err = e.Close()
	}
	p.end()
	p.parts.Wait()
	p.leave()
	if p.resolver != nil {
		p.resolver.Close()
	}
	return err
}
