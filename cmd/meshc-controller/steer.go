package main

import (
	"context"
	"errors"
	"time"

	"github.com/meshc/meshc/reconciler"
	"github.com/meshc/meshc/reconciler/api"
	"github.com/meshc/meshc/reconciler/guard"
	"github.com/meshc/meshc/reconciler/store"
)

// fullHash is how many digits the hash of a commit has.
const fullHash = 40

// course is what operators say in a Mesh of what is to serve.
type course struct {
	ref     string           // that is followed
	hold    *reconciler.Hold // what keeps commits from serving; nil: nothing does
	back    string           // the commit of a rollback that is followed: it is meant, whatever it takes away
	refused string           // why a rollback is not made; "": it is, or there is none
}

// keeper has what served before; cluster.Store is one.
type keeper interface{ Rollback(to string) error }

// steer gives the course of a Mesh. A rollback to what served before is made here,
// before anything of the repository is looked at. One that goes nowhere is said, and
// the repository is followed.
func steer(m *api.Mesh, state keeper) (course, error) {
	now := time.Now()
	out := course{ref: m.Spec.Ref}
	if m.Spec.Suspend.Active(now) {
		out.hold = &reconciler.Hold{Reason: reconciler.Suspended, Text: m.Spec.Suspend.Reason, Until: m.Spec.Suspend.Until}
	}
	back := m.Spec.Rollback
	if !back.Active(now) {
		return out, nil
	}
	switch err := state.Rollback(back.To); {
	case err == nil:
		out.hold = &reconciler.Hold{Reason: reconciler.RolledBack, Text: because("rolled back to "+back.To, back.Reason), Until: back.Until}
	case !errors.Is(err, store.ErrNothing) && !errors.Is(err, store.ErrDamaged):
		return course{}, err
	case len(back.To) == fullHash: // it takes the repository, and counts for more than a suspension
		out.ref, out.hold, out.back = back.To, nil, back.To
	default:
		out.refused = "the rollback is not made: " + err.Error()
	}
	return out, nil
}

func because(what, reason string) string {
	if reason == "" {
		return what
	}
	return what + ": " + reason
}

// guards are those of a Mesh. back is the commit of a rollback; "": there is none.
func guards(m *api.Mesh, back string) *guard.Guards {
	g := m.Spec.Guards
	return &guard.Guards{
		PrunePercent: g.PrunePercent, PruneCount: g.PruneCount, MTLS: g.MTLS == api.GuardHold, Access: g.Access == api.GuardHold,
		Namespaces: g.Namespaces, Approved: m.Spec.Approve, Back: back,
	}
}

// expires gives a context that ends when the rollback of a Mesh does: what is followed
// is another reference then.
func expires(ctx context.Context, m *api.Mesh) (context.Context, context.CancelFunc) {
	if back := m.Spec.Rollback; back.Active(time.Now()) {
		return context.WithDeadline(ctx, back.Until)
	}
	return context.WithCancel(ctx)
}
