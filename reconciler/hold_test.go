package reconciler

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/meshc/meshc/reconciler/source"
	"github.com/meshc/meshc/reconciler/status"
)

// refGate keeps what it was last told was applied.
type refGate struct{ applied map[string][]source.Commit }

func (g *refGate) Judge(_ context.Context, applied []source.Commit, c source.Commit) (source.Judgement, error) {
	g.applied[c.Hash] = slices.Clone(applied)
	return source.Judgement{}, nil
}
func (*refGate) Verifies() bool      { return false }
func (*refGate) Fingerprint() string { return "" }

// otherSource is the same repository under another address, or another one.
type otherSource struct {
	*fakeSource
	address string
	ref     string
}

func (o *otherSource) String() string { return o.address }

func (o *otherSource) Head(ctx context.Context, ref string) (source.Commit, error) {
	c, err := o.fakeSource.Head(ctx, ref)
	if o.ref != "" {
		c.Ref = o.ref
	}
	return c, err
}

// TestBadCommitsPushNothingOutOfMemory: however many commits are rejected, a
// reference is held against what was applied of it.
func TestBadCommitsPushNothingOutOfMemory(t *testing.T) {
	run(t, func(w *world) {
		g := &refGate{map[string][]source.Commit{}}
		w.opts.Gate = g
		tags := &otherSource{fakeSource: w.source, address: "/repo", ref: "refs/tags/v1"}
		w.opts.Source = tags
		w.source.set("c1")
		w.start()
		w.release()
		tags.ref = "refs/heads/main"
		w.commit("c2")
		for i := range 250 {
			w.commit(fmt.Sprint("bad", i))
		}
		w.stop()
		w.start() // and a restart
		w.commit("c3")
		w.wantServing("c3")
		want := []source.Commit{{Ref: "refs/heads/main", Hash: "c2"}, {Ref: "refs/tags/v1", Hash: "c1"}}
		if got := g.applied["c3"]; !slices.Equal(got, want) {
			t.Errorf("c3 was judged after %v, want %v", got, want)
		}
		// A store that keeps less of the history than was applied.
		w.stop()
		w.store.status.History = nil
		w.start()
		w.commit("c4")
		if got := g.applied["c4"]; !slices.Equal(got, []source.Commit{{Ref: "refs/heads/main", Hash: "c3"}}) {
			t.Errorf("c4 was judged after %v", got)
		}
	})
}

// TestWhatAnotherRepositoryHadSaysNothing: what was applied from another repository
// is not held against the commits of this one, and counts again when that is back.
func TestWhatAnotherRepositoryHadSaysNothing(t *testing.T) {
	run(t, func(w *world) {
		g := &refGate{map[string][]source.Commit{}}
		w.opts.Gate = g
		w.opts.Source = &otherSource{fakeSource: w.source, address: "/one"}
		w.source.set("c1")
		w.start()
		w.commit("bad")
		w.stop()
		w.opts.Source = &otherSource{fakeSource: w.source, address: "/two"}
		w.source.set("c2")
		w.start()
		w.pass(2 * interval)
		w.wantServing("c2")
		if got := g.applied["c2"]; len(got) != 0 {
			t.Errorf("c2 was judged after %v", got)
		}
		if h := w.store.status.History; h[0].Repository != "/one" || h[1].Repository != "/one" || h[len(h)-1].Repository != "" {
			t.Errorf("history %+v", h)
		}
		w.stop()
		w.opts.Source = &otherSource{fakeSource: w.source, address: "/one"}
		w.source.set("c3")
		w.start()
		w.pass(2 * interval)
		if got := g.applied["c3"]; !slices.Equal(got, []source.Commit{{Ref: "refs/heads/main", Hash: "c1"}}) {
			t.Errorf("c3 was judged after %v", got)
		}
	})
}

// TestATagOfTheSameCommitIsRemembered: of a range of versions the newest tag may
// name the commit that serves already; it is held against that afterwards.
func TestATagOfTheSameCommitIsRemembered(t *testing.T) {
	run(t, func(w *world) {
		g := &refGate{map[string][]source.Commit{}}
		w.opts.Gate = g
		tags := &otherSource{fakeSource: w.source, address: "/repo", ref: "refs/tags/v1.0.0"}
		w.opts.Source = tags
		w.source.set("c1")
		w.start()
		w.release()
		tags.ref = "refs/tags/v1.0.1"
		w.pass(2 * interval)
		w.commit("c2")
		want := []source.Commit{{Ref: "refs/tags/v1.0.1", Hash: "c1"}, {Ref: "refs/tags/v1.0.0", Hash: "c1"}}
		if got := g.applied["c2"]; !slices.Equal(got, want) {
			t.Errorf("c2 was judged after %v, want %v", got, want)
		}
	})
}

// TestADeathBeforeTheReport: what was saved by a process that died before it could
// say so has the reference that it was attempted from.
func TestADeathBeforeTheReport(t *testing.T) {
	run(t, func(w *world) {
		g := &refGate{map[string][]source.Commit{}}
		w.opts.Gate = g
		w.source.set("c1")
		w.start()
		w.stop()
		w.store.status.Serving, w.store.status.History = nil, nil
		w.source.set("c2")
		w.start()
		w.pass(2 * interval)
		if got := g.applied["c2"]; !slices.Equal(got, []source.Commit{{Ref: "refs/heads/main", Hash: "c1"}}) {
			t.Errorf("c2 was judged after %v", got)
		}
	})
}

func TestTheNewestOfAHistory(t *testing.T) {
	entry := func(o status.Outcome, n int) status.Entry { return status.Entry{Commit: fmt.Sprint(n), Outcome: o} }
	var mixed []status.Entry
	for i := range 10 {
		mixed = append(mixed, entry(status.Applied, i), entry(status.Rejected, i))
	}
	got := status.Newest(mixed, 6)
	want := []status.Entry{entry(status.Applied, 7), entry(status.Rejected, 7), entry(status.Applied, 8), entry(status.Rejected, 8), entry(status.Applied, 9), entry(status.Rejected, 9)}
	if !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	if got := status.Newest(mixed[:4], 6); !slices.Equal(got, mixed[:4]) {
		t.Errorf("%v", got)
	}
}
