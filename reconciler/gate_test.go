package reconciler

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshc/meshc/reconciler/source"
	"github.com/meshc/meshc/reconciler/status"
)

// fakeGate refuses the commits that it was told to.
type fakeGate struct {
	mu      sync.Mutex
	keys    string
	refuses map[string]error
	applied map[string][]string // hashes by the commit that was judged
	judged  int
}

func (g *fakeGate) Judge(_ context.Context, applied []source.Commit, c source.Commit) (source.Judgement, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.judged++
	g.applied[c.Hash] = nil
	for _, a := range applied {
		g.applied[c.Hash] = append(g.applied[c.Hash], a.Hash)
	}
	if err := g.refuses[c.Hash]; err != nil {
		return source.Judgement{}, err
	}
	return source.Judgement{SignedBy: "ann (key 1)", Verified: 1}, nil
}

func (g *fakeGate) Verifies() bool { return true }

func (g *fakeGate) Fingerprint() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.keys
}

func (g *fakeGate) refuse(commit string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refuses[commit] = err
}

func TestACommitThatIsNotSignedChangesNothingThatServes(t *testing.T) {
	run(t, func(w *world) {
		g := &fakeGate{refuses: map[string]error{}, applied: map[string][]string{}}
		w.opts.Gate = g
		w.source.set("c1")
		w.start()
		w.wantServing("c1")
		w.wantCondition(status.Verified, status.True, "Verified")
		if by := w.store.status.Attempted.SignedBy; by != "ann (key 1)" {
			t.Errorf("signed by %q", by)
		}
		g.refuse("c2", fmt.Errorf("%w: commit c2 is signed by key 2", source.ErrUntrusted))
		w.commit("c2")
		w.wantServing("c1")
		w.wantCondition(status.Verified, status.False, "VerificationFailed")
		w.wantCondition(status.Stalled, status.True, "VerificationFailed")
		w.wantCondition(status.Ready, status.False, "VerificationFailed")
		w.wantCondition(status.Compiled, status.Unknown, "VerificationFailed")
		w.wantCondition(status.OnNodes, status.True, "Programmed")
		if a := w.store.status.Attempted; !strings.Contains(a.Error, "key 2") || a.SignedBy != "" {
			t.Errorf("attempted: %+v", a)
		}
		if w.source.trees["c2"] != 0 || slices.Contains(w.compiles, "c2") {
			t.Error("a commit that is not trusted was read")
		}
		w.pass(time.Hour)
		if g.judged != 2 {
			t.Errorf("judged %d times with the same keys", g.judged)
		}

		// Other keys, and it is judged again; not before.
		w.release()
		g.refuse("c2", nil)
		w.pass(time.Minute)
		w.wantServing("c1")
		g.mu.Lock()
		g.keys = "rotated"
		g.mu.Unlock()
		w.pass(2 * interval)
		w.wantServing("c2")
		w.wantCondition(status.Verified, status.True, "Verified")
		w.commit("c1")
		if got := g.applied["c2"]; !slices.Equal(got, []string{"c1"}) {
			t.Errorf("c2 was judged after %v", got)
		}
		if got := g.applied["c1"]; !slices.Equal(got, []string{"c2", "c1"}) {
			t.Errorf("c1 again was judged after %v", got)
		}
	})
}

func TestAGateThatCannotTellIsAskedAgain(t *testing.T) {
	run(t, func(w *world) {
		g := &fakeGate{refuses: map[string]error{"c2": errors.New("connection refused")}, applied: map[string][]string{}}
		w.opts.Gate = g
		w.source.set("c1")
		w.start()
		w.commit("c2")
		w.wantServing("c1")
		w.wantCondition(status.Verified, status.Unknown, "SourceFailed")
		w.wantCondition(status.Stalled, status.False, "NotStalled")
		w.release()
		g.refuse("c2", nil)
		w.pass(time.Minute)
		w.wantServing("c2")

		// Without the gate, nothing of it is left in the report.
		w.stop()
		w.opts.Gate = nil
		w.start()
		if _, found := w.store.status.Condition(status.Verified); found {
			t.Error("a condition of a gate that is no more")
		}
	})
}

func TestAHeldCommitChangesNothingThatServes(t *testing.T) {
	run(t, func(w *world) {
		g := &fakeGate{refuses: map[string]error{"c2": fmt.Errorf("%w: refs/heads/main was rewritten", source.ErrHeld)}, applied: map[string][]string{}}
		w.opts.Gate = g
		w.source.set("c1")
		w.start()
		if e := w.store.status.History[0]; e.Ref != "refs/heads/main" {
			t.Errorf("history: %+v", e)
		}
		w.commit("c2")
		w.wantServing("c1")
		w.wantCondition(status.Stalled, status.True, "HistoryHeld")
		w.wantCondition(status.Compiled, status.Unknown, "HistoryHeld")
		w.wantCondition(status.Verified, status.Unknown, "HistoryHeld")
		w.commit("c3")
		w.wantServing("c3")
	})
}

// namedSource gives trees that say what their content is called.
type namedSource struct{ *fakeSource }

func (f namedSource) Tree(_ context.Context, c source.Commit, _ string) (fs.FS, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.trees[c.Hash]++
	content := strings.TrimSuffix(c.Hash, "-again")
	return source.FromFiles(map[string][]byte{"commit": []byte(content)}), nil
}

// TestACommitThatLeavesTheMeshAloneIsNotEvaluated: it serves all the same, under
// its own name.
func TestACommitThatLeavesTheMeshAloneIsNotEvaluated(t *testing.T) {
	run(t, func(w *world) {
		w.opts.Source = namedSource{w.source}
		w.source.set("c1")
		w.start()
		w.commit("c1-again")
		w.wantServing("c1-again")
		if !slices.Equal(w.compiles, []string{"c1"}) {
			t.Errorf("evaluated %v", w.compiles)
		}
		w.wantCondition(status.Ready, status.True, "Programmed")
		w.commit("bad")
		w.commit("c1-again")
		w.wantServing("c1-again")
		w.commit("c2")
		w.commit("c1-again")
		w.wantServing("c1-again")
		if want := []string{"c1", "bad", "c2", "c1"}; !slices.Equal(w.compiles, want) {
			t.Errorf("evaluated %v, want %v", w.compiles, want)
		}
	})
}

func TestAWakeIsALookAtOnce(t *testing.T) {
	run(t, func(w *world) {
		w.opts.Interval = time.Hour
		w.source.set("c1")
		r, err := New(w.opts)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Restore(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(w.t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = r.Run(ctx) }()
		w.stop = func() { w.release(); cancel(); <-done; w.stop = nil }
		w.pass(time.Second)
		w.wantServing("c1")
		w.release()
		w.source.set("c2")
		before := w.source.heads
		for range 1000 {
			r.Wake()
		}
		w.pass(time.Second)
		w.wantServing("c2")
		if n := w.source.heads - before; n > 2 {
			t.Errorf("a thousand wakes were %d looks", n)
		}
	})
}
