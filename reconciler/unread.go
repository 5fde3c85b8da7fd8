package reconciler

import (
	"errors"
	"fmt"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/reconciler/source"
	"github.com/meshc/meshc/reconciler/store"
)

// load gives what serves, nil where there is none that can be read. That nothing was
// ever saved is one thing; that what serves cannot be read is another, and kept in
// unread: no step from it can be judged.
func (r *Reconciler) load() *store.Generation {
	g, err := r.opts.Store.Load()
	switch {
	case err == nil:
		r.unread = nil
		return g
	case !errors.Is(err, store.ErrNothing):
		r.unread = err
	case r.status.Serving != nil && r.opts.Guards != nil:
		r.unread = fmt.Errorf("commit %s served by the last report, and nothing is there: %w", r.status.Serving.Commit, err)
	}
	return nil
}

// ofUnread holds every commit while what serves cannot be read: nobody can say what
// the commit would take away. One that an operator approved or goes back to is meant.
// Controllers without guards build what serves anew.
func (r *Reconciler) ofUnread(c source.Commit, m *model.Mesh) failure {
	if r.unread == nil {
		return failure{}
	}
	if g := r.opts.Guards; g != nil && g.Approved != c.Hash && g.Back != c.Hash {
		return failure{reason: guardBlocked, err: fmt.Errorf("what serves cannot be read, and what the commit would change cannot be judged (%w); what proxies have stays; approve the commit by its full hash if it is meant", r.unread)}
	}
	if empty(m) && !r.opts.AllowEmpty {
		return failure{reason: "EmptyMesh", err: fmt.Errorf("the commit has nothing, and what serves cannot be read (%w): confirm with --allow-empty", r.unread)}
	}
	return failure{}
}

// readable says that what serves, for which commits were held, can be read after all.
func (r *Reconciler) readable() bool {
	if r.unread == nil || r.serving != nil || r.failed.reason != guardBlocked {
		return false
	}
	g := r.load()
	if g == nil || g.Mesh.TrustDomain != r.opts.TrustDomain {
		return false
	}
	r.opts.Log.Info("what serves can be read again", "commit", g.Commit)
	r.serve(g)
	return true
}

// empty says that a mesh has nothing that anybody could call.
func empty(m *model.Mesh) bool {
	return len(m.Services) == 0 && len(m.Gateways) == 0 && len(m.Externals) == 0
}
