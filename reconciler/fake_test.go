package reconciler

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/reconciler/source"
	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/reconciler/store"
)

// fakeSource is a repository whose head the test moves.
type fakeSource struct {
	mu       sync.Mutex
	head     string
	headErr  error
	treeErr  error
	moved    bool // ErrMoved once
	heads    int
	trees    map[string]int
	headTime []time.Time
}

func (f *fakeSource) String() string { return "/repo" }

func (f *fakeSource) Head(context.Context, string) (source.Commit, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heads++
	f.headTime = append(f.headTime, time.Now())
	return source.Commit{Ref: "refs/heads/main", Hash: f.head}, f.headErr
}

func (f *fakeSource) Tree(_ context.Context, c source.Commit, _ string) (fs.FS, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.trees[c.Hash]++
	if f.moved {
		f.moved = false
		return nil, source.ErrMoved
	}
	return fstest.MapFS{"commit": {Data: []byte(c.Hash)}}, f.treeErr
}

func (f *fakeSource) set(head string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.head = head
}

func (f *fakeSource) fail(headErr, treeErr error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.headErr, f.treeErr = headErr, treeErr
}

// fakeStore keeps the last of each in memory.
type fakeStore struct {
	mu      sync.Mutex
	saved   *store.Generation
	status  *status.Status
	saveErr error
	loadErr error
	slow    time.Duration // how long a save takes
	reports int           // statuses that were written
}

func (f *fakeStore) Load() (*store.Generation, error) {
	if f.loadErr != nil {
		return nil, f.loadErr
	}
	if f.saved == nil {
		return nil, store.ErrNothing
	}
	return f.saved, nil
}

func (f *fakeStore) Save(g *store.Generation) error {
	f.mu.Lock()
	slow := f.slow
	f.mu.Unlock()
	time.Sleep(slow)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.saveErr == nil {
		f.saved = g
	}
	return f.saveErr
}

func (f *fakeStore) LoadStatus() (*status.Status, error) {
	if f.status == nil {
		return nil, store.ErrNothing
	}
	return f.status, nil
}

func (f *fakeStore) SaveStatus(s *status.Status) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := *s
	c.Conditions = append([]status.Condition(nil), s.Conditions...)
	c.History = append([]status.Entry(nil), s.History...)
	if s.Attempted != nil {
		a := *s.Attempted
		c.Attempted = &a
	}
	f.status = &c
	f.reports++
	return nil
}

// fakePusher records what it was told; every proxy follows at once unless
// slow.
type fakePusher struct {
	mu      sync.Mutex
	pushes  []push
	err     error
	done    int
	total   int
	changed chan struct{}
}

type push struct {
	commit    string
	workloads int
	at        time.Time
}

func (f *fakePusher) SetDesired(commit string, _ *model.Mesh, w []*model.Workload) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	f.pushes = append(f.pushes, push{commit, len(w), time.Now()})
	return nil
}

func (f *fakePusher) Progress(commit string) status.Programmed {
	f.mu.Lock()
	defer f.mu.Unlock()
	return status.Programmed{Commit: commit, Done: f.done, Total: f.total}
}

func (f *fakePusher) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

func (f *fakePusher) program(done, total int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done, f.total = done, total
	close(f.changed)
	f.changed = make(chan struct{})
}

type fakeWorkloads struct {
	mu      sync.Mutex
	list    []*model.Workload
	changed chan struct{}
}

func (f *fakeWorkloads) List(*model.Mesh) []*model.Workload {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.list
}

func (f *fakeWorkloads) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

func (f *fakeWorkloads) add() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, &model.Workload{ID: "w"})
	close(f.changed)
	f.changed = make(chan struct{})
}

// world is a reconciler among fakes, inside a synctest bubble.
type world struct {
	t         *testing.T
	source    *fakeSource
	store     *fakeStore
	pusher    *fakePusher
	workloads *fakeWorkloads
	compile   time.Duration // how long a compile takes
	compiles  []string
	mu        sync.Mutex
	opts      Options
	stop      func()
}

const interval = time.Second

// run tells a story with a reconciler that compiles commit "bad…" to an error
// at a.cue:7:3, "empty…" to no services, and every other to one service.
func run(t *testing.T, story func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			t:         t,
			source:    &fakeSource{trees: map[string]int{}},
			store:     &fakeStore{},
			pusher:    &fakePusher{done: 1, total: 1, changed: make(chan struct{})},
			workloads: &fakeWorkloads{changed: make(chan struct{})},
		}
		w.opts = Options{
			Source: w.source, Ref: "main", Path: ".", Compile: w.judge, Store: w.store, Pusher: w.pusher,
			Workloads: w.workloads, TrustDomain: "cluster.local", Interval: interval,
		}
		story(w)
		if w.stop != nil {
			w.stop()
		}
	})
}

func (w *world) judge(ctx context.Context, tree fs.FS) (*compiler.Result, error) {
	data, err := fs.ReadFile(tree, "commit")
	if err != nil {
		return nil, err
	}
	commit := string(data)
	w.mu.Lock()
	w.compiles = append(w.compiles, commit)
	w.mu.Unlock()
	select {
	case <-time.After(w.compile):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	m := &model.Mesh{Name: commit, TrustDomain: "cluster.local"}
	switch {
	case len(commit) >= 3 && commit[:3] == "bad":
		return &compiler.Result{Diags: diag.List{{Code: "MSH2001", Severity: diag.Error, Message: "unknown version",
			Range: diag.Range{File: "a.cue", Start: diag.Pos{Line: 7, Col: 3}}}}}, nil
	case commit == "empty":
		return &compiler.Result{Model: m}, nil
	case commit == "foreign":
		m.TrustDomain = "elsewhere"
		at := diag.Range{File: "mesh.cue", Start: diag.Pos{Line: 3, Col: 9}}
		in := &intent.Mesh{Config: intent.Config{TrustDomain: &intent.Value[string]{V: m.TrustDomain, At: at}}}
		return &compiler.Result{Model: m, Intent: in}, nil
	case commit == "unvouched", commit == "vouched":
		m.Aliases, m.Services = []string{"old.example"}, []*model.Service{{}}
		at := diag.Range{File: "mesh.cue", Start: diag.Pos{Line: 4, Col: 9}}
		if commit == "unvouched" {
			m.Aliases = []string{"old.example", "older.example"}
		}
		in := &intent.Mesh{Config: intent.Config{Aliases: []intent.Value[string]{{V: "older.example", At: at}}}}
		return &compiler.Result{Model: m, Intent: in}, nil
	case commit == "fault":
		m.Services = []*model.Service{{Routes: []*model.Route{{Delay: &model.Delay{Until: time.Now().Add(time.Hour)}}}}}
		return &compiler.Result{Model: m}, nil
	}
	m.Services = []*model.Service{{Ref: model.Ref{Namespace: "default", Name: "a"}, Owner: commit}}
	return &compiler.Result{Model: m}, nil
}

// start starts a reconciler on what the store holds.
func (w *world) start() {
	w.t.Helper()
	r, err := New(w.opts)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := r.Restore(); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.Run(ctx) }()
	w.stop = func() { w.release(); cancel(); <-done; w.stop = nil }
	synctest.Wait()
}

// release orders what the test has read without locks before what the
// reconciler writes next; synctest.Wait orders the other direction only.
func (w *world) release() {
	for _, mu := range []*sync.Mutex{&w.source.mu, &w.store.mu, &w.pusher.mu, &w.workloads.mu, &w.mu} {
		mu.Lock()
		defer mu.Unlock()
	}
}

// pass lets time go by.
func (w *world) pass(d time.Duration) {
	w.release()
	time.Sleep(d)
	synctest.Wait()
}

// commit moves the head and waits for the next poll.
func (w *world) commit(hash string) {
	w.release()
	w.source.set(hash)
	w.pass(2 * interval)
}

func (w *world) wantServing(commit string) {
	w.t.Helper()
	if s := w.store.status.Serving; s == nil || s.Commit != commit {
		w.t.Errorf("the status says that %+v serves, want %s", s, commit)
	}
	if n := len(w.pusher.pushes); n == 0 || w.pusher.pushes[n-1].commit != commit {
		w.t.Errorf("pushed %+v, want %s last", w.pusher.pushes, commit)
	}
	if w.store.saved == nil || w.store.saved.Commit != commit {
		w.t.Errorf("saved %+v, want %s", w.store.saved, commit)
	}
}

func (w *world) wantCondition(typ status.ConditionType, s status.ConditionStatus, reason string) {
	w.t.Helper()
	if c, _ := w.store.status.Condition(typ); c.Status != s || c.Reason != reason {
		w.t.Errorf("condition %s is %s (%s: %s), want %s (%s)", typ, c.Status, c.Reason, c.Message, s, reason)
	}
}

var errAway = errors.New("connection refused")
