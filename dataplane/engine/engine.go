// Package engine is the data plane's hot path: event loops that accept
// connections, parse HTTP/1.1, route, run filters, pick an upstream and stream
// bodies both ways. A snapshot.Config goes in; traffic, counters and access logs
// come out. Each loop is one thread with its own epoll, upstream pools, timers
// and buffers; loops share nothing on the way of a request but circuit breakers.
package engine

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meshc/meshc/dataplane/snapshot"
	"github.com/meshc/meshc/dataplane/telemetry"
)

// Options of an Engine. The zero value of each field but Log is usable.
type Options struct {
	Workers   int // event loops; 0 = one per CPU
	Log       *slog.Logger
	Telemetry *telemetry.Registry // made for at least Workers shards; nil = own

	// Identity is the proxy's own SPIFFE ID, "By" in x-forwarded-client-cert.
	Identity string
	// Node is the proxy's node ID, which spans say.
	Node string
	// Self is whose proxy this is: requests are counted by who calls whom where it
	// is known.
	Self snapshot.Party

	// MaxConnections bounds downstream connections of all loops; 0 = half of
	// RLIMIT_NOFILE less 64, so that every one can have an upstream connection
	// and the process keeps descriptors for its control plane. At the bound
	// nothing is accepted: clients wait in the backlog.
	MaxConnections int
	// RetryBuffer bounds the request body kept for retries, in bytes; a longer
	// body is not retried. 0 = 64 KiB.
	RetryBuffer int
	// DrainGrace is how long a connection that idles on a drained listener is
	// kept for a request that is on its way already. 0 = 100 ms.
	DrainGrace time.Duration
	// DrainCap is how long a connection of bytes may go on once its listener or
	// filter chain is gone: nothing can tell its ends to come to one. 0 = 10 min,
	// which is Envoy's --drain-time-s.
	DrainCap time.Duration
	// Inherit gives the listening socket of an address that another process has
	// opened and hands over, which is the engine's then; nil: there is none.
	Inherit func(netip.AddrPort) (fd int, ok bool)
}

// Engine runs the data plane. Its methods may be called from any goroutine.
type Engine struct {
	opts    Options
	log     *slog.Logger
	reg     *telemetry.Registry
	base    time.Time
	workers []*worker
	done    sync.WaitGroup

	trust   atomic.Uint64 // how often trust bundles have changed: Recheck
	conns   atomic.Int64  // open downstream connections
	drained chan struct{} // gets a value when conns falls to 0 while draining

	mu       sync.Mutex // serialises Apply, Drain and Close; guards what follows
	current  *prepared
	closed   bool
	draining bool
	sinks    map[string]*telemetry.Sink
	unused   map[*telemetry.Sink]time.Time // since when nothing in force writes to it

	forwardedTold sync.Once // of an x-forwarded-for that says nothing

	config atomic.Pointer[snapshot.Config]
	busy   background // guarded by mu

	counts bool             // who calls whom
	other  *telemetry.Group // of what is too much to tell apart; nil: nothing is counted
	stop   chan struct{}    // closed by Close
}

// New starts the event loops. They serve nothing until Apply.
func New(opts Options) (*Engine, error) {
	if err := opts.fill(); err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	e := &Engine{
		opts: opts, log: opts.Log, reg: opts.Telemetry, base: time.Now(),
		drained: make(chan struct{}, 1), sinks: map[string]*telemetry.Sink{}, unused: map[*telemetry.Sink]time.Time{}, stop: make(chan struct{}),
	}
	e.current = &prepared{config: &snapshot.Config{}}
	e.reg.Counter(distrusted) // 0 is told too
	if e.counts = opts.Self.Service != ""; e.counts {
		e.other = e.reg.Group(otherLabels()...).Keep()
	}
	e.config.Store(e.current.config)
	for i := range opts.Workers {
		var seed [32]byte
		_, _ = rand.Read(seed[:]) // never fails, by its contract
		w, err := newWorker(e, i, seed)
		if err != nil {
			for _, w := range e.workers {
				w.closeFDs()
			}
			return nil, fmt.Errorf("engine: event loop %d: %w", i, err)
		}
		e.workers = append(e.workers, w)
	}
	for _, w := range e.workers {
		e.done.Go(w.loop)
	}
	e.done.Go(e.sweep)
	return e, nil
}

func (o *Options) fill() error {
	if o.Workers < 0 {
		return fmt.Errorf("%d event loops", o.Workers)
	}
	if o.Workers == 0 {
		o.Workers = runtime.NumCPU()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Telemetry == nil {
		o.Telemetry = telemetry.New(o.Workers)
	}
	if o.Telemetry.Shards() < o.Workers {
		return fmt.Errorf("telemetry registry has %d shards for %d event loops", o.Telemetry.Shards(), o.Workers)
	}
	if o.MaxConnections == 0 {
		var lim unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
			return fmt.Errorf("RLIMIT_NOFILE: %w", err)
		}
		o.MaxConnections = int(max(int64(min(lim.Cur, 1<<31)/2)-64, 16))
	}
	if o.RetryBuffer == 0 {
		o.RetryBuffer = 64 << 10
	}
	if o.DrainGrace == 0 {
		o.DrainGrace = 100 * time.Millisecond
	}
	if o.DrainCap == 0 {
		o.DrainCap = 10 * time.Minute
	}
	return nil
}

// Config is the configuration in force.
func (e *Engine) Config() *snapshot.Config { return e.config.Load() }

// Telemetry is the registry the engine counts in.
func (e *Engine) Telemetry() *telemetry.Registry { return e.reg }

// Addr is the first address a listener is bound to, which matters when its port is 0.
func (e *Engine) Addr(listener string) (netip.AddrPort, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l := e.current.config.Listeners[listener]; l != nil {
		if b := e.current.listeners[place{listener, l.Addr}]; b != nil {
			return b.addr, true
		}
	}
	return netip.AddrPort{}, false
}

// Connections is how many downstream connections are open.
func (e *Engine) Connections() int { return int(e.conns.Load()) }

// everywhere runs f on every loop and waits until all have.
func (e *Engine) everywhere(f func(*worker)) {
	var all sync.WaitGroup
	for _, w := range e.workers {
		all.Add(1)
		w.do(func() { f(w); all.Done() })
	}
	all.Wait()
}

// Drain stops accepting, answers what is in flight with "Connection: close", and
// returns when the last downstream connection is gone, or with ctx's error,
// leaving the rest to Close.
func (e *Engine) Drain(ctx context.Context) error {
	e.mu.Lock()
	if !e.closed && !e.draining {
		e.draining = true
		e.everywhere((*worker).drain)
		for _, b := range e.current.listeners {
			b.close()
		}
	}
	e.mu.Unlock()
	for e.conns.Load() > 0 {
		select {
		case <-e.drained:
		case <-ctx.Done():
			return fmt.Errorf("drain: %d connections left: %w", e.conns.Load(), ctx.Err())
		}
	}
	e.noteConn(0) // whoever else waits
	return nil
}

// Close closes every socket at once and ends the loops. It is idempotent.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	e.busy.close()
	closeGone(e.current, &prepared{})
	e.everywhere((*worker).stop)
	close(e.stop)
	e.done.Wait()
	for _, st := range e.current.states {
		st.Wait()
	}
	if !e.draining {
		for _, b := range e.current.listeners {
			b.close()
		}
	}
	var sinks sync.WaitGroup // none waits for the time that another takes
	for _, s := range e.sinks {
		sinks.Go(s.Close)
	}
	sinks.Wait()
	return nil
}
