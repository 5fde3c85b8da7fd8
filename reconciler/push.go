package reconciler

import (
	"context"
	"slices"
	"time"

	emitxds "github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/reconciler/store"
)

// Push hands g and the workloads of this moment to the Pusher.
func (r *Reconciler) Push(g *store.Generation) error {
	r.emittedAt = time.Now()
	placed := r.opts.Workloads.List(g.Mesh)
	err := r.opts.Pusher.SetDesired(g.Commit, g.Mesh, placed)
	if err == nil {
		r.pushErr, r.placed = nil, placed
	}
	return err
}

// serve pushes a generation that was saved before.
func (r *Reconciler) serve(g *store.Generation) {
	r.serving = g
	if r.status.Serving == nil || r.status.Serving.Commit != g.Commit {
		s, e := status.Serving{Commit: g.Commit, AppliedAt: r.now()}, status.Entry{Commit: g.Commit, Outcome: status.Applied, ObservedAt: r.now(), AppliedAt: r.now()}
		// Saved by a process that died before it could say so.
		if a := r.status.Attempted; a != nil && a.Commit == g.Commit {
			s.Ref, e.Ref = a.Ref, a.Ref
		}
		for _, old := range r.status.History { // what is rolled back to served before
			if old.Commit == g.Commit && old.Ref != "" && s.Ref == "" {
				s.Ref, e.Ref = old.Ref, old.Ref
			}
		}
		r.status.Serving = &s
		r.status.Record(e)
	}
	r.pushAgain("restored")
}

// pushAgain pushes what serves because something beside the commit changed.
func (r *Reconciler) pushAgain(why string) {
	if r.serving == nil {
		return
	}
	r.pushErr = r.Push(r.serving)
	if r.pushErr != nil {
		r.opts.Log.Error("what serves could not be emitted again, what was pushed stays", "why", why, "commit", r.serving.Commit, "error", r.pushErr)
	} else {
		r.opts.Log.Info("pushed", "why", why, "commit", r.serving.Commit)
	}
	r.report()
}

// onWorkloads pushes what serves with the workloads of now, and tries again a
// commit that could not be emitted: that depends on what runs where too.
func (r *Reconciler) onWorkloads(ctx context.Context) {
	if r.pushErr == nil && r.serving != nil && slices.Equal(r.placed, r.opts.Workloads.List(r.serving.Mesh)) {
		r.report() // other things run, or what is wrong with some has changed
	} else {
		r.pushAgain("workloads changed")
	}
	if r.failed.reason == emitFailed && r.running == nil {
		r.retries++
		r.begin(ctx, observation{commit: r.current, at: r.now()})
		r.report()
	}
}

// saveAgain saves what serves if that has not succeeded yet.
func (r *Reconciler) saveAgain() {
	if r.serving == nil || !r.unsaved {
		return
	}
	if r.saveErr = r.opts.Store.Save(r.serving); r.saveErr != nil {
		r.opts.Log.Error("what serves could not be saved, a restart would serve an older commit", "commit", r.serving.Commit, "error", r.saveErr)
		return
	}
	r.unsaved = false
}

// expiryLook is how often it is looked whether a fault has ended: timers do not
// follow a clock that is set, and the end is a time of the clock.
const expiryLook = time.Minute

// expiry gives a channel that fires when a fault of what serves ends that had
// not ended when it was last emitted, or may have.
func (r *Reconciler) expiry() <-chan time.Time {
	if r.serving == nil {
		return nil
	}
	next := emitxds.NextExpiry(r.serving.Mesh, r.emittedAt)
	if next.IsZero() {
		return nil
	}
	return time.After(min(time.Until(next), expiryLook))
}
