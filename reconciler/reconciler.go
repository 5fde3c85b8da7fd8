// Package reconciler keeps what serves in line with a Git reference:
// fetch → compile → plan → push → status, one method per step. It is level
// triggered: the newest commit is what counts, a commit that cannot be served
// changes nothing that serves, and nothing is given up on for ever.
package reconciler

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/meshc/meshc/compiler"
	emitxds "github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/reconciler/guard"
	"github.com/meshc/meshc/reconciler/source"
	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/reconciler/store"
)

// Source gives commits; source.Repository is one. Methods may block until the
// context ends and are called by one goroutine each.
type Source interface {
	Head(ctx context.Context, ref string) (source.Commit, error)
	Tree(ctx context.Context, c source.Commit, dir string) (fs.FS, error)
	String() string
}

// Gate says which commits may be served; source.Gate is one. applied are the
// commits that were applied, the newest first, each with what it was found at. Fingerprint changes when a commit
// that was refused may be judged otherwise. Judge and Fingerprint are called
// beside each other.
type Gate interface {
	Judge(ctx context.Context, applied []source.Commit, c source.Commit) (source.Judgement, error)
	Fingerprint() string
	Verifies() bool // whether anything must be signed
}

// Store keeps what serves over restarts; store.Local is one. It is called by
// one goroutine.
type Store interface {
	Load() (*store.Generation, error)
	Save(g *store.Generation) error
	LoadStatus() (*status.Status, error)
	SaveStatus(s *status.Status) error
}

// Pusher brings a mesh to the proxies; ADS makes one. SetDesired is
// idempotent, replaces what came before, and changes nothing when it fails.
// Changed gives a channel that is closed when Progress changes next.
type Pusher interface {
	SetDesired(commit string, m *model.Mesh, workloads []*model.Workload) error
	Progress(commit string) status.Programmed
	Changed() <-chan struct{}
}

// Workloads says what runs where. Changed gives a channel that is closed when
// List, or Faults of those that are Faulty, changes next.
type Workloads interface {
	List(m *model.Mesh) []*model.Workload
	Changed() <-chan struct{}
}

// Faulty are Workloads that say of what they cannot use, each in a sentence that
// names it.
type Faulty interface {
	Faults(m *model.Mesh) []string
}

// Compile judges a tree; compiler.Compile with options is one.
type Compile func(ctx context.Context, tree fs.FS) (*compiler.Result, error)

// Options of a Reconciler. Everything is required unless it says otherwise.
type Options struct {
	Source    Source
	Ref       string
	Path      string // directory of the mesh in the repository
	Compile   Compile
	Store     Store
	Pusher    Pusher
	Workloads Workloads

	Gate        Gate          // optional: every commit may be served
	Guards      *guard.Guards // optional: every step may be taken
	Hold        *Hold         // optional: commits serve
	Unmade      string        // optional: why a rollback that an operator asked for is not made
	TrustDomain string        // of the CA; a mesh of another one is refused
	Vouched     []string      // optional: other trust domains whose roots proxies are given
	Interval    time.Duration // between polls, jittered by a tenth; default 30 s
	AllowEmpty  bool          // take a commit that removes every service
	SavedServes bool          // proxies are given what the Store has, by a Follower, and not what is pushed
	Log         *slog.Logger  // optional

	Now func() time.Time // clock of reports; default time.Now
}

// Reconciler is the loop. All fields but opts belong to the goroutine of Run.
type Reconciler struct {
	opts     Options
	status   *status.Status
	reported []byte // status as it was written last, without the times of writing

	serving    *store.Generation // nil: nothing yet
	unread     error             // why what serves cannot be told; nil: it can, or nothing ever served
	unsaved    bool              // serving has not been saved yet
	saveErr    error             // why not
	emittedAt  time.Time         // when serving was last handed to the Pusher
	observedAt time.Time         // when acknowledgements were last reported
	pushErr    error             // of the newest workloads with what serves
	placed     []*model.Workload // with which serving was last handed to the Pusher

	made     compiled      // what serves, for commits that leave the mesh alone
	current  source.Commit // attempted, or being so
	failed   failure       // of current
	running  *attempt      // the compile under way
	results  chan *attempt
	preempt  bool         // a compile was cut short and none has run to its end since
	waiting  *observation // comes after the running compile
	retries  int          // of current, when it failed for a reason outside of it
	retryAt  time.Time
	fetchErr error
	pollSoon chan struct{}

	workloadsChanged <-chan struct{}
}

// failure is why the attempted commit does not serve; its zero value is none.
type failure struct {
	reason    string // for programs
	err       error
	permanent bool   // only another commit can help
	grounds   string // fingerprint of the gate that refused it
}

// New checks the options; nothing runs before Run.
func New(opts Options) (*Reconciler, error) {
	for name, missing := range map[string]bool{
		"source": opts.Source == nil, "store": opts.Store == nil, "pusher": opts.Pusher == nil,
		"workloads": opts.Workloads == nil, "compile": opts.Compile == nil, "ref": opts.Ref == "", "trust domain": opts.TrustDomain == "",
	} {
		if missing {
			return nil, fmt.Errorf("reconciler: no %s", name)
		}
	}
	if opts.Interval <= 0 {
		opts.Interval = 30 * time.Second
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	return &Reconciler{opts: opts, results: make(chan *attempt), pollSoon: make(chan struct{}, 1)}, nil
}

// Restore brings back what served when the last process ended and hands it to
// the Pusher. Call it before the ADS port opens: a proxy must never be told
// that there is nothing. State that cannot be read is reported and built anew
// from the repository; the error is for state of another trust domain.
func (r *Reconciler) Restore() error {
	// Taken before the first look at the workloads, so that no change between
	// here and Run is missed.
	r.workloadsChanged = r.opts.Workloads.Changed()
	old, err := r.opts.Store.LoadStatus()
	if err != nil && !errors.Is(err, store.ErrNothing) {
		r.opts.Log.Warn("the status of the last run cannot be read and starts anew", "error", err)
	}
	r.status = r.newStatus(old)
	g := r.load()
	if g == nil {
		if r.unread != nil {
			r.opts.Log.Error("the last good commit cannot be read, nothing serves until the repository answers", "error", r.unread)
		}
		r.report()
		return nil
	}
	if g.Damage != nil {
		r.opts.Log.Error("the newest saved commit is damaged, the one before it serves", "commit", g.Commit, "error", g.Damage)
	}
	if g.Mesh.TrustDomain != r.opts.TrustDomain {
		return WrongState(g.Mesh.TrustDomain, r.opts.TrustDomain)
	}
	r.serve(g)
	r.report()
	return nil
}

func (r *Reconciler) newStatus(old *status.Status) *status.Status {
	s := &status.Status{
		Repository: r.opts.Source.String(), Ref: r.opts.Ref, Path: r.opts.Path, TrustDomain: r.opts.TrustDomain,
		Controller: status.Controller{PID: os.Getpid(), StartedAt: r.now()},
	}
	if old != nil {
		s.History, s.Conditions, s.Serving, s.Attempted = old.History, old.Conditions, old.Serving, old.Attempted
		if old.Repository != s.Repository {
			s.From(old.Repository, s.Repository)
			s.Attempted = nil
		}
	}
	s.Conditions = slices.DeleteFunc(s.Conditions, func(c status.Condition) bool {
		return c.Type == status.Verified && !r.verifies() || c.Type == status.Suspended && !r.opts.Hold.active()
	})
	return s
}

// now is the time as it is reported. It may jump with the clock of the machine, so
// nothing is waited for by it.
func (r *Reconciler) now() time.Time { return r.opts.Now().UTC().Round(time.Millisecond) }

// observeDelay gathers acknowledgements that come together into one report.
// observeGap is between one such report and the next where reports are writes to an
// API server.
const (
	observeDelay = 50 * time.Millisecond
	observeGap   = time.Second
)

// observeIn is how long acknowledgements are gathered from now on.
func (r *Reconciler) observeIn() time.Duration {
	if !r.opts.SavedServes {
		return observeDelay
	}
	return max(observeDelay, observeGap-time.Since(r.observedAt))
}

// Run polls and reconciles until ctx ends. It must be called once, after
// Restore, and returns when everything that it started has ended.
func (r *Reconciler) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	heads, polling := make(chan observation), make(chan struct{})
	go func() {
		defer close(polling)
		r.poll(ctx, heads)
	}()
	defer func() {
		cancel()
		if r.running != nil {
			<-r.results
		}
		<-polling
	}()
	heart := time.NewTicker(status.Heartbeat)
	defer heart.Stop()
	var observe, expire <-chan time.Time
	workloads, progress := r.workloadsChanged, r.opts.Pusher.Changed()
	for {
		expire = r.expiry()
		select {
		case <-ctx.Done():
			return nil
		case h := <-heads:
			r.onHead(ctx, h)
		case a := <-r.results:
			r.onResult(ctx, a)
		case <-workloads:
			workloads = r.opts.Workloads.Changed()
			r.onWorkloads(ctx)
		case <-expire:
			if !emitxds.NextExpiry(r.serving.Mesh, r.emittedAt).After(time.Now()) {
				r.pushAgain("a fault has ended")
			}
		case <-heart.C:
			r.beat()
		case <-progress:
			progress, observe = nil, time.After(r.observeIn())
		case <-observe:
			progress, observe = r.opts.Pusher.Changed(), nil
			r.observedAt = time.Now()
			r.report()
		}
	}
}

// jittered spreads d by a tenth either way, so that controllers do not poll in
// step.
func jittered(d time.Duration) time.Duration {
	return d + time.Duration((rand.Float64()-0.5)*0.2*float64(d))
}
