package cluster

import (
	"context"
	"crypto/tls"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meshc/meshc/dataplane/endpoint"
	"github.com/meshc/meshc/dataplane/snapshot"
	"github.com/meshc/meshc/dataplane/telemetry"
)

// Clock is what time it is. A test has one of its own.
type Clock interface {
	// Now is the time since some moment.
	Now() time.Duration
	// AfterFunc calls f, in a goroutine of its own, when d is over. stop keeps
	// that from happening if it has not yet.
	AfterFunc(d time.Duration, f func()) (stop func())
}

// Deps are what a State needs of its surroundings.
type Deps struct {
	Clock     Clock
	Telemetry *telemetry.Registry
	// Changed is called when other endpoints are well than before. It must not
	// block and not call back.
	Changed func()
	// Probe asks an endpoint; nil is the network.
	Probe func(context.Context, *Host) Outcome
}

// State is what all event loops share about one cluster in one configuration of
// it: the circuit breaker, and what is known of each endpoint.
type State struct {
	*Breaker
	deps     Deps
	snap     *snapshot.Cluster
	outliers *snapshot.Outliers
	stats    *stats
	health   *snapshot.Health
	asking   *healthStats
	tls      atomic.Pointer[tls.Config] // of health checks
	used     atomic.Bool                // there has been a connection
	probes   sync.WaitGroup
	watched  bool // endpoints have a Host each

	mu      sync.Mutex // guards what follows
	hosts   map[netip.AddrPort]*Host
	ejected int
	closed  bool
	started bool                  // the first endpoints are there
	stop    func()                // of the coming look at outliers
	tables  map[uint32]tableCache // by priority
}

// New makes the state of c; its endpoints are Update's.
func New(c *snapshot.Cluster, deps Deps) *State {
	s := &State{Breaker: NewBreaker(c), deps: deps, snap: c, outliers: c.Outliers, hosts: map[netip.AddrPort]*Host{}, tables: map[uint32]tableCache{}}
	s.watched = c.Outliers != nil || c.Health != nil || c.Balance.SlowStart != nil || c.LB == snapshot.LeastRequest
	if c.Outliers != nil {
		s.stats = newStats(deps.Telemetry, c.Name)
		s.stop = deps.Clock.AfterFunc(c.Outliers.Interval, s.look)
	}
	if c.Health != nil {
		s.health, s.asking = c.Health, newHealthStats(deps.Telemetry, c.Name)
	}
	return s
}

// Update makes the endpoints those of c, which has the digest of the State's own.
func (s *State) Update(c *snapshot.Cluster) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.watched {
		return
	}
	s.tls.Store(c.TLS)
	keep := make(map[netip.AddrPort]bool, len(c.Endpoints))
	for _, e := range c.Endpoints {
		keep[e.Addr] = true
		target := e.Addr
		if e.Asked.IsValid() {
			target = e.Asked
		}
		if h := s.hosts[e.Addr]; h == nil {
			h = &Host{state: s, addr: e.Addr, since: s.deps.Clock.Now(), prober: prober{target: target}}
			s.hosts[e.Addr] = h
			s.startAsking(h)
		} else if h.prober.target != target {
			s.stopAsking(h)
			h.prober = prober{target: target}
			s.startAsking(h)
		}
	}
	for addr, h := range s.hosts {
		if !keep[addr] {
			if h.ejected.Load() {
				s.countEjected(-1)
			}
			s.stopAsking(h)
			delete(s.hosts, addr)
		}
	}
	s.started = true
	s.countHealthy()
}

// Close ends what goes on in the background. Nothing is reported afterwards.
func (s *State) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.stop != nil {
		s.stop()
	}
	for _, h := range s.hosts {
		s.stopAsking(h)
	}
}

// Wait returns when what Close has ended is over.
func (s *State) Wait() { s.probes.Wait() }

// Host is what is known of an endpoint; nil where nothing needs to be.
func (s *State) Host(addr netip.AddrPort) *Host {
	if !s.watched {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hosts[addr]
}

// changed reports; s.mu is held.
func (s *State) changed() {
	if !s.closed && s.deps.Changed != nil {
		s.deps.Changed()
	}
}

// Host is one endpoint as all event loops see it. Its methods but those of
// package cluster itself may be called by any of them, and are cheap. A nil Host
// knows nothing and takes everything in.
type Host struct {
	state *State
	addr  netip.AddrPort

	active  atomic.Int64
	ejected atomic.Bool
	unwell  atomic.Bool // by health checks
	pending atomic.Bool // no answer has come yet

	consecutive [kinds]atomic.Uint32
	answers     [2]rate // by origin

	// Guarded by state.mu.
	since       time.Duration // when it came to be well
	ejectedAt   time.Duration
	unejectedAt time.Duration
	unejected   bool // ever
	backoff     int
	jitter      time.Duration
	ejections   int
	good, bad   int // answers in a row
	stopAsk     func()
	prober      prober
}

// Begin and End count the requests in flight.
func (h *Host) Begin() {
	if h != nil {
		h.active.Add(1)
	}
}

// End is Begin's other half.
func (h *Host) End() {
	if h != nil {
		h.active.Add(-1)
	}
}

// Active is how many requests are in flight, of all event loops.
func (h *Host) Active() int { return int(h.active.Load()) }

// Well says that nothing speaks against the endpoint.
func (h *Host) Well() bool { return h == nil || !h.ejected.Load() && !h.unwell.Load() }

// Pending says that a health check has still to tell: the endpoint does not count
// when it is asked whether too many are unwell.
func (h *Host) Pending() bool { return h != nil && h.pending.Load() && h.unwell.Load() }

// Since is when the endpoint came to be well.
func (h *Host) Since() time.Duration {
	if h == nil {
		return 0
	}
	h.state.mu.Lock()
	defer h.state.mu.Unlock()
	return h.since
}

// HostStatus is a Host for people.
type HostStatus struct {
	Addr      netip.AddrPort
	Ejected   bool
	Unwell    bool
	Ejections int
	Active    int
}

// Hosts is what is known of every endpoint, in no order.
func (s *State) Hosts() []HostStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]HostStatus, 0, len(s.hosts))
	for _, h := range s.hosts {
		out = append(out, HostStatus{Addr: h.addr, Ejected: h.ejected.Load(), Unwell: h.unwell.Load(), Ejections: h.ejections, Active: h.Active()})
	}
	return out
}

// tableCache holds the newest table of a hashing policy for one priority: every
// event loop asks for the same one.
type tableCache struct {
	cluster *snapshot.Cluster
	usable  []int
	table   endpoint.Table
}

// Table gives the table over usable endpoints of c, at least one and all of the
// same priority.
func (s *State) Table(c *snapshot.Cluster, usable []int) endpoint.Table {
	s.mu.Lock()
	defer s.mu.Unlock()
	priority := c.Endpoints[usable[0]].Priority
	t := s.tables[priority]
	if t.table == nil || !slices.Equal(t.cluster.Endpoints, c.Endpoints) || !slices.Equal(t.usable, usable) {
		t = tableCache{c, slices.Clone(usable), endpoint.NewTable(c, usable)}
		s.tables[priority] = t
	}
	return t.table
}

// ForgetTables lets go of the tables of priorities that c has no more: they hold
// the endpoints of their time, and of Maglev's a quarter of a megabyte. It is called
// once no event loop chooses among former endpoints, for one that does would have
// the table made again.
func (s *State) ForgetTables(c *snapshot.Cluster) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for priority := range s.tables {
		if !slices.ContainsFunc(c.Endpoints, func(e snapshot.Endpoint) bool { return e.Priority == priority }) {
			delete(s.tables, priority)
		}
	}
}

func draw(n int64) int64 { return rand.Int64N(max(n, 1)) }
