package reconciler

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/reconciler/store"
)

// fakeServed is what a cluster says serves.
type fakeServed struct {
	mu      sync.Mutex
	key     string
	serving *store.Generation
	err     error
	changed chan struct{}
}

func (f *fakeServed) Key() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.key
}

func (f *fakeServed) Serving() (*store.Generation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.serving, f.err
}

func (f *fakeServed) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

func (f *fakeServed) set(key string, domain string, err error) {
	f.mu.Lock()
	f.key, f.err = key, err
	f.serving = &store.Generation{Commit: key, Mesh: &model.Mesh{TrustDomain: domain}}
	close(f.changed)
	f.changed = make(chan struct{})
	f.mu.Unlock()
	synctest.Wait()
}

// TestAFollowerPushesWhatServes: each generation once, and nothing else: neither what
// is not whole, nor what is of another trust domain, nor nothing.
func TestAFollowerPushesWhatServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		served := &fakeServed{changed: make(chan struct{})}
		workloads := &fakeWorkloads{changed: make(chan struct{})}
		pusher := &fakePusher{changed: make(chan struct{})}
		f := &Follower{Served: served, Workloads: workloads, Pusher: pusher, TrustDomain: "cluster.local", Log: slog.New(slog.DiscardHandler)}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); f.Run(ctx) }()
		synctest.Wait()
		wantPushed := func(ready bool, want ...string) {
			t.Helper()
			var got []string
			for _, p := range pusher.pushes {
				got = append(got, p.commit)
			}
			if !slices.Equal(got, want) || f.Ready() != ready {
				t.Fatalf("pushed %v, want %v; ready %t", got, want, f.Ready())
			}
		}
		wantPushed(false)
		served.set("1", "cluster.local", store.ErrDamaged)
		wantPushed(false)
		served.set("1", "other.example", nil)
		wantPushed(false)
		served.set("1", "cluster.local", nil)
		wantPushed(true, "1")
		served.set("1", "cluster.local", errors.New("no matter"))
		time.Sleep(time.Hour)
		wantPushed(true, "1")
		served.set("2", "cluster.local", store.ErrDamaged) // not all of it is here
		served.set("", "cluster.local", store.ErrNothing)
		wantPushed(true, "1")
		pusher.err = errors.New("cannot be emitted")
		served.set("2", "cluster.local", nil)
		wantPushed(true, "1")
		pusher.err = nil
		served.set("2", "cluster.local", nil)
		wantPushed(true, "1", "2")
		workloads.mu.Lock()
		close(workloads.changed)
		workloads.changed = make(chan struct{})
		workloads.mu.Unlock()
		synctest.Wait()
		wantPushed(true, "1", "2") // other things run
		workloads.add()
		synctest.Wait()
		wantPushed(true, "1", "2", "2")
		cancel()
		<-ended
	})
}

// TestAcknowledgementsAreGathered: where reports are writes to an API server, those of
// many proxies are one a second, and the last is never left out.
func TestAcknowledgementsAreGathered(t *testing.T) {
	run(t, func(w *world) {
		w.opts.SavedServes = true
		w.opts.Interval = time.Hour
		w.source.set("c1")
		w.pusher.total = 1000
		w.start()
		w.pass(time.Minute)
		before := w.store.reports
		w.release()
		for i := range 1000 {
			w.pusher.program(i+1, 1000)
			w.pass(10 * time.Millisecond)
			w.release()
		}
		w.pass(2 * time.Second)
		// Ten seconds, with a heartbeat of the report every five.
		if n := w.store.reports - before; n > 10+1+3 {
			t.Errorf("1000 acknowledgements in 10 s were %d reports", n)
		}
		if p := w.store.status.Programmed; p.Done != 1000 {
			t.Errorf("%d of 1000 are reported", p.Done)
		}
	})
}
