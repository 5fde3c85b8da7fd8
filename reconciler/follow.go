package reconciler

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	emitxds "github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/reconciler/store"
)

// Served tells what serves, whoever made it so; cluster.Cache is one. Key names the
// generation that serves ("": none yet) and costs little; Serving gives it, or says
// why not all of it is there. Changed gives a channel that is closed when one of
// them changes next.
type Served interface {
	Key() string
	Serving() (*store.Generation, error)
	Changed() <-chan struct{}
}

// Follower brings what serves to the proxies of one replica. Every replica has one;
// one of them has a Reconciler beside it.
type Follower struct {
	Served      Served
	Workloads   Workloads
	Pusher      Pusher
	TrustDomain string // of the CA; what serves is refused if it is of another
	Log         *slog.Logger

	pushed    atomic.Bool
	key       string // of what was pushed
	serving   *store.Generation
	placed    []*model.Workload // with which serving was pushed
	emittedAt time.Time
	told      string // the last fault, so that each is told once
}

// Ready says whether proxies are given something: the ADS server answers nothing
// before.
func (f *Follower) Ready() bool { return f.pushed.Load() }

// Run follows until ctx ends.
func (f *Follower) Run(ctx context.Context) {
	for {
		changed, moved := f.Served.Changed(), f.Workloads.Changed()
		f.look()
		var expire <-chan time.Time
		if f.serving != nil {
			if next := emitxds.NextExpiry(f.serving.Mesh, f.emittedAt); !next.IsZero() {
				expire = time.After(min(time.Until(next), expiryLook))
			}
		}
		select {
		case <-changed:
		case <-moved:
			f.move()
		case <-expire:
			if !emitxds.NextExpiry(f.serving.Mesh, f.emittedAt).After(time.Now()) {
				f.push(f.serving, f.key, "a fault has ended")
			}
		case <-ctx.Done():
			return
		}
	}
}

// look pushes what serves if that is not what was pushed.
func (f *Follower) look() {
	key := f.Served.Key()
	if key == "" || key == f.key {
		return
	}
	g, err := f.Served.Serving()
	switch {
	case errors.Is(err, store.ErrNothing):
		return
	case err == nil && g.Mesh.TrustDomain != f.TrustDomain:
		err = WrongState(g.Mesh.TrustDomain, f.TrustDomain)
	}
	if err != nil {
		f.tell("what serves is not whole yet, what was pushed stays", err)
		return
	}
	f.push(g, key, "another generation serves")
}

// move pushes what serves again if other workloads run it.
func (f *Follower) move() {
	if f.serving != nil && !slices.Equal(f.placed, f.Workloads.List(f.serving.Mesh)) {
		f.push(f.serving, f.key, "workloads changed")
	}
}

func (f *Follower) push(g *store.Generation, key, why string) {
	if g == nil {
		return
	}
	f.emittedAt = time.Now()
	placed := f.Workloads.List(g.Mesh)
	if err := f.Pusher.SetDesired(g.Commit, g.Mesh, placed); err != nil {
		f.tell("what serves could not be emitted, what was pushed stays", err)
		return
	}
	f.serving, f.key, f.placed, f.told = g, key, placed, ""
	f.pushed.Store(true)
	f.Log.Info("pushed", "why", why, "commit", g.Commit)
}

func (f *Follower) tell(what string, err error) {
	if text := err.Error(); text != f.told {
		f.told = text
		f.Log.Warn(what, "error", err)
	}
}
