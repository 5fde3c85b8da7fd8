package reconciler

import (
	"context"
	"time"

	emitxds "github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/reconciler/store"
)

// Push hands g and the workloads of this moment to the Pusher.
func (r *Reconciler) Push(g *store.Generation) error {
	r.emittedAt = time.Now()
	err := r.opts.Pusher.SetDesired(g.Commit, g.Mesh, r.opts.Workloads.List())
	if err == nil {
		r.pushErr = nil
	}
	return err
}

// serve pushes a generation that was saved before.
func (r *Reconciler) serve(g *store.Generation) {
	r.serving = g
	if r.status.Serving == nil || r.status.Serving.Commit != g.Commit {
		r.status.Serving = &status.Serving{Commit: g.Commit, AppliedAt: now()}
		r.status.Record(status.Entry{Commit: g.Commit, Outcome: status.Applied, ObservedAt: now(), AppliedAt: now()})
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
	r.pushAgain("workloads changed")
	if r.failed.reason == emitFailed && r.running == nil {
		r.retries++
		r.begin(ctx, observation{commit: r.current, at: now()})
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

// expiry gives a channel that fires when a fault of what serves ends that had
// not ended when it was last emitted.
func (r *Reconciler) expiry() <-chan time.Time {
	if r.serving == nil {
		return nil
	}
	next := emitxds.NextExpiry(r.serving.Mesh, r.emittedAt)
	if next.IsZero() {
		return nil
	}
	return time.After(time.Until(next))
}
