package reconciler

import (
	"errors"
	"testing"

	"github.com/meshc/meshc/reconciler/status"
)

// What cannot be emitted for the workloads of now is tried again with those
// that come next: the commit need not be at fault.
func TestOtherWorkloadsBringBackWhatCouldNotBeEmitted(t *testing.T) {
	run(t, func(w *world) {
		w.source.set("c1")
		w.start()
		w.pusher.err = errors.New("workloads a and b are both at 127.0.0.1:1")
		w.commit("c2")
		w.wantServing("c1")
		w.wantCondition(status.Stalled, status.True, emitFailed)
		seen := w.store.status.Attempted.ObservedAt

		w.release()
		w.pusher.err = nil
		w.workloads.add()
		w.pass(interval)
		w.wantServing("c2")
		w.wantCondition(status.Stalled, status.False, "NotStalled")
		w.wantCondition(status.Ready, status.True, "Programmed")
		if w.store.status.Mesh != "c2" {
			t.Errorf("the status is of the mesh %q", w.store.status.Mesh)
		}
		last := w.store.status.History[len(w.store.status.History)-1]
		if len(w.store.status.History) != 2 || last.Outcome != status.OnEveryNode || !last.ObservedAt.Equal(seen) {
			t.Errorf("history: %+v", w.store.status.History)
		}
	})
}

// A commit that does not compile has nothing to gain from other workloads.
func TestOtherWorkloadsDoNotCompileABadCommitAgain(t *testing.T) {
	run(t, func(w *world) {
		w.source.set("c1")
		w.start()
		w.commit("bad1")
		n := len(w.compiles)
		w.release()
		w.workloads.add()
		w.pass(interval)
		if len(w.compiles) != n {
			t.Errorf("compiled %v", w.compiles[n:])
		}
	})
}
