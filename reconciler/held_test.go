package reconciler

import (
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/reconciler/guard"
	"github.com/meshc/meshc/reconciler/status"
)

// TestSuspended: commits are judged and say what they would change; what serves stays,
// until the time that was said.
func TestSuspended(t *testing.T) {
	run(t, func(w *world) {
		w.source.set("c1")
		w.start()
		w.stop()
		w.opts.Hold = &Hold{Reason: Suspended, Text: "the database is moved", Until: time.Now().Add(time.Hour)}
		w.start()
		w.pass(2 * interval)
		w.wantCondition(status.Ready, status.True, "Programmed") // at the newest commit
		w.wantCondition(status.Suspended, status.True, Suspended)
		w.commit("c2")
		w.wantServing("c1")
		w.wantCondition(status.Ready, status.False, Suspended)
		w.wantCondition(status.Stalled, status.True, Suspended)
		if a := w.store.status.Attempted; a.Commit != "c2" || !strings.Contains(a.Error, "the database is moved") || !strings.Contains(a.Error, "1 changed") {
			t.Errorf("attempted %+v", a)
		}
		if n := len(w.store.status.History); n != 1 {
			t.Errorf("history %+v", w.store.status.History)
		}
		w.commit("bad")
		w.wantCondition(status.Ready, status.False, "CompileFailed")
		w.commit("c3")
		w.pass(2 * time.Hour)
		w.wantServing("c3")
		w.wantCondition(status.Suspended, status.False, Suspended)
		w.stop()
		w.opts.Hold = nil
		w.start()
		if _, found := w.store.status.Condition(status.Suspended); found {
			t.Error("a condition of what is no more")
		}
	})
}

// TestAGuardHoldsAStep, and an approval lets it by.
func TestAGuardHoldsAStep(t *testing.T) {
	run(t, func(w *world) {
		w.opts.Guards = &guard.Guards{Namespaces: []string{"default"}}
		w.source.set("c1")
		w.start()
		w.wantServing("c1")
		w.stop()
		w.opts.Guards = &guard.Guards{Namespaces: []string{"other"}}
		w.start()
		w.commit("c2")
		w.wantServing("c1")
		w.wantCondition(status.Ready, status.False, "GuardBlocked")
		w.wantCondition(status.Stalled, status.True, "GuardBlocked")
		if a := w.store.status.Attempted; !strings.Contains(a.Error, "default/a is outside the namespaces of this mesh (other)") {
			t.Errorf("attempted %+v", a)
		}
		w.stop()
		w.opts.Guards = &guard.Guards{Namespaces: []string{"other"}, Approved: "c2"}
		w.start()
		w.pass(2 * interval)
		w.wantServing("c2")
	})
}

// TestARollbackThatIsNotMade: it is said, and commits serve.
func TestARollbackThatIsNotMade(t *testing.T) {
	run(t, func(w *world) {
		w.opts.Unmade = "the rollback is not made: there is no such"
		w.source.set("c1")
		w.start()
		w.wantServing("c1")
		w.wantCondition(status.Suspended, status.False, RollbackFailed)
		w.stop()
		w.opts.Hold = &Hold{Reason: Suspended, Text: "the database is moved"}
		w.start()
		w.commit("c2")
		w.wantServing("c1")
		w.wantCondition(status.Suspended, status.True, RollbackFailed)
		if c, _ := w.store.status.Condition(status.Suspended); !strings.Contains(c.Message, "no such") || !strings.Contains(c.Message, "the database is moved") {
			t.Errorf("%q", c.Message)
		}
	})
}
