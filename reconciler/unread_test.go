package reconciler

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/reconciler/guard"
	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/reconciler/store"
)

// TestWhatServesCannotBeRead: no step from it can be judged, so none is taken but one
// that was approved by its hash; nothing that ever served is another matter.
func TestWhatServesCannotBeRead(t *testing.T) {
	run(t, func(w *world) {
		w.opts.Guards = &guard.Guards{}
		w.source.set("c1")
		w.start()
		w.wantServing("c1") // nothing ever served
		w.stop()
		w.store.loadErr = fmt.Errorf("object a: %w", store.ErrDamaged)
		pushed := len(w.pusher.pushes)
		w.start()
		for _, commit := range []string{"c2", "empty", "c3"} {
			w.commit(commit)
			if w.store.saved.Commit != "c1" || len(w.pusher.pushes) != pushed {
				t.Errorf("%s serves while what serves cannot be read", commit)
			}
			if commit != "empty" {
				w.wantCondition(status.Ready, status.False, "GuardBlocked")
			}
		}
		w.wantCondition(status.Stalled, status.True, "GuardBlocked")
		if a := w.store.status.Attempted; !strings.Contains(a.Error, "what serves cannot be read") || !strings.Contains(a.Error, "object a") {
			t.Errorf("attempted %+v", a)
		}
		w.stop()
		w.opts.Guards = &guard.Guards{Approved: "c3"}
		w.start()
		w.pass(2 * interval)
		w.wantServing("c3")
		w.commit("c4") // which is judged by what serves now
		w.wantServing("c4")
		w.stop()
		// The report says that something serves, and nothing is there.
		w.store.loadErr, w.store.saved = nil, nil
		w.opts.Guards = &guard.Guards{}
		w.start()
		w.commit("c5")
		w.wantCondition(status.Ready, status.False, "GuardBlocked")
		w.stop()
		w.opts.Guards = &guard.Guards{Back: "c5"} // which an operator goes back to
		w.start()
		w.pass(2 * interval)
		w.wantServing("c5")
	})
}

// TestWhatServesCanBeReadAfterAll: the commit that was held is judged by it.
func TestWhatServesCanBeReadAfterAll(t *testing.T) {
	run(t, func(w *world) {
		w.opts.Guards = &guard.Guards{}
		w.source.set("c1")
		w.start()
		w.stop()
		w.store.loadErr = store.ErrDamaged
		w.source.set("c2")
		w.start()
		w.pass(2 * interval)
		w.wantCondition(status.Ready, status.False, "GuardBlocked")
		w.release()
		w.store.loadErr = nil
		w.pass(2 * interval)
		w.wantServing("c2")
	})
}

// TestAMeshOfGatewaysIsNotEmptied without a word.
func TestAMeshOfGatewaysIsNotEmptied(t *testing.T) {
	run(t, func(w *world) {
		judge := w.opts.Compile
		w.opts.Compile = func(ctx context.Context, tree fs.FS) (*compiler.Result, error) {
			out, err := judge(ctx, tree)
			if err == nil && out.Model.Name == "edge" {
				out.Model.Services, out.Model.Gateways = nil, []*model.Gateway{{Ref: model.Ref{Namespace: "default", Name: "g"}}}
			}
			return out, err
		}
		w.source.set("edge")
		w.start()
		w.wantServing("edge")
		w.commit("empty")
		w.wantServing("edge")
		w.wantCondition(status.AppliedType, status.False, "EmptyMesh")
	})
}
