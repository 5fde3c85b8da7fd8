package reconciler

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/reconciler/source"
	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/reconciler/store"
)

func TestACommitIsServedAndProgrammed(t *testing.T) {
	run(t, func(w *world) {
		w.pusher.done, w.pusher.total = 0, 0
		w.source.set("c1")
		w.start()
		w.wantServing("c1")
		w.wantCondition(status.Ready, status.False, "NoProxies")
		w.pusher.program(0, 2)
		w.pass(observeDelay)
		w.wantCondition(status.Ready, status.False, "Programming")
		w.wantCondition(status.Reconciling, status.True, "Programming")
		w.release()
		w.pusher.program(1, 2)
		w.pusher.program(2, 2)
		w.pass(observeDelay)
		w.wantCondition(status.Ready, status.True, "Programmed")
		w.wantCondition(status.OnNodes, status.True, "Programmed")
		w.wantCondition(status.Reconciling, status.False, "Idle")
		e := w.store.status.History[0]
		if e.Outcome != status.OnEveryNode || e.ProgrammedAt.Sub(e.ObservedAt) != 2*observeDelay {
			t.Errorf("history: %+v", e)
		}
		w.pass(time.Minute)
		if len(w.compiles) != 1 || len(w.pusher.pushes) != 1 {
			t.Errorf("an unchanged head was compiled %d and pushed %d times", len(w.compiles), len(w.pusher.pushes))
		}
	})
}

func TestABadCommitChangesNothingThatServes(t *testing.T) {
	run(t, func(w *world) {
		w.source.set("c1")
		w.start()
		w.commit("bad1")
		w.wantServing("c1")
		a := w.store.status.Attempted
		if a.Commit != "bad1" || a.Error != "a.cue:7:3: MSH2001: unknown version" || len(a.Diagnostics) != 1 || a.Diagnostics[0].Line != 7 {
			t.Errorf("attempted: %+v", a)
		}
		w.wantCondition(status.Compiled, status.False, "CompileFailed")
		w.wantCondition(status.Stalled, status.True, "CompileFailed")
		w.wantCondition(status.Ready, status.False, "CompileFailed")
		w.wantCondition(status.OnNodes, status.True, "Programmed")
		w.pass(time.Hour)
		if n := w.source.trees["bad1"]; n != 1 {
			t.Errorf("a commit that cannot compile was compiled %d times", n)
		}
		w.commit("c2")
		w.wantServing("c2")
		w.wantCondition(status.Ready, status.True, "Programmed")
		w.wantCondition(status.Stalled, status.False, "NotStalled")
		var story []string
		for _, e := range w.store.status.History {
			story = append(story, e.Commit+" "+string(e.Outcome))
		}
		if want := []string{"c1 programmed", "bad1 rejected", "c2 programmed"}; !slices.Equal(story, want) {
			t.Errorf("history %v", story)
		}
	})
}

func TestTheReportHasAHeartbeat(t *testing.T) {
	run(t, func(w *world) {
		w.source.set("c1")
		w.start()
		w.pass(time.Minute)
		s := w.store.status
		if age := time.Since(s.Controller.HeartbeatAt); age > status.Heartbeat || s.Controller.Late(time.Now()) {
			t.Errorf("the last heartbeat is %v old", age)
		}
		if since := time.Since(s.UpdatedAt); since < time.Minute/2 {
			t.Errorf("a heartbeat is taken for news: %v", since)
		}
		w.stop()
		time.Sleep(status.Patience + time.Second)
		if !s.Controller.Late(time.Now()) {
			t.Error("a controller that has ended is not late")
		}
	})
}

func TestBadCommitFirst(t *testing.T) {
	run(t, func(w *world) {
		w.source.set("bad1")
		w.start()
		if len(w.pusher.pushes) != 0 || w.store.saved != nil {
			t.Error("something was served")
		}
		w.wantCondition(status.OnNodes, status.False, "NothingServes")
		w.commit("c1")
		w.wantServing("c1")
	})
}

func TestRestartWithGitAwayServesLastGood(t *testing.T) {
	run(t, func(w *world) {
		w.source.set("c1")
		w.start()
		w.commit("bad1")
		w.stop()
		w.source.fail(errAway, nil)
		w.pusher = &fakePusher{done: 1, total: 1, changed: make(chan struct{})}
		w.opts.Pusher = w.pusher

		r, err := New(w.opts)
		if err != nil {
			t.Fatal(err)
		}
		heads := w.source.heads
		if err := r.Restore(); err != nil {
			t.Fatal(err)
		}
		if w.source.heads != heads || len(w.pusher.pushes) != 1 {
			t.Errorf("restore asked the repository %d times and pushed %+v", w.source.heads-heads, w.pusher.pushes)
		}
		w.start()
		w.pass(time.Minute)
		w.wantServing("c1")
		w.wantCondition(status.Ready, status.Unknown, "FetchFailed")
		if a := w.store.status.Attempted; a == nil || a.Commit != "bad1" || len(a.Diagnostics) != 1 {
			t.Errorf("the story of the last attempt is lost: %+v", a)
		}
		w.source.fail(nil, nil)
		w.source.set("c2")
		w.pass(maxBackoff + time.Minute)
		w.wantServing("c2")
		w.wantCondition(status.Ready, status.True, "Programmed")
	})
}

func TestFetchBacksOffAndNeverStops(t *testing.T) {
	run(t, func(w *world) {
		w.source.fail(errAway, nil)
		w.start()
		w.pass(24 * time.Hour)
		times := w.source.headTime
		if n := len(times); n < 24*60/5*8/10 || n > 24*60/5*12/10+20 {
			t.Errorf("%d polls in a day", n)
		}
		for i := 1; i < len(times); i++ {
			if gap := times[i].Sub(times[i-1]); gap > maxBackoff*11/10 || gap < interval*9/10 {
				t.Fatalf("poll %d came after %v", i, gap)
			}
		}
	})
}

func TestTheNewestCommitPreempts(t *testing.T) {
	run(t, func(w *world) {
		w.compile = 10 * time.Second
		w.source.set("c1")
		w.start()
		w.commit("c2")
		w.pass(10 * time.Second)
		w.wantServing("c2")
		if !slices.Equal(w.compiles, []string{"c1", "c2"}) || len(w.pusher.pushes) != 1 {
			t.Errorf("compiled %v, pushed %+v", w.compiles, w.pusher.pushes)
		}
	})
}

func TestCommitsFasterThanTheCompilerAreStillServed(t *testing.T) {
	run(t, func(w *world) {
		w.compile = 10 * time.Second
		w.source.set("c0")
		w.start()
		for i := range 40 {
			w.commit(fmt.Sprint("c", i+1))
		}
		if n := len(w.pusher.pushes); n < 4 {
			t.Errorf("only %d commits were served in 80 s", n)
		}
		w.pass(25 * time.Second)
		w.wantServing("c40")
	})
}

// What the reference pointed at for a moment is not served once it is known to
// point elsewhere again.
func TestOnlyTheNewestIsServed(t *testing.T) {
	for name, c := range map[string]struct {
		heads []string
		want  []string // pushed after c1
	}{
		"there and back":              {[]string{"c2", "c1"}, []string{"c1"}},
		"two and back":                {[]string{"c2", "c3", "c1"}, []string{"c1"}},
		"on, and back to the running": {[]string{"c2", "c3", "c2"}, []string{"c3", "c2"}}, // never two cut in a row
		"back to the one not cut":     {[]string{"c2", "c3", "c4", "c3"}, []string{"c3"}},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(w *world) {
				w.source.set("c1")
				w.start()
				w.release()
				w.compile = 10 * time.Second
				for _, h := range c.heads {
					w.commit(h)
				}
				w.pass(time.Minute)
				var got []string
				for _, p := range w.pusher.pushes[1:] {
					got = append(got, p.commit)
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("pushed %v, want %v", got, c.want)
				}
				w.wantServing(c.want[len(c.want)-1])
			})
		})
	}
}

// While the loop is busy the repository is asked again: it is not handed what
// was true a long time ago.
func TestABusyLoopIsHandedTheNewest(t *testing.T) {
	run(t, func(w *world) {
		w.source.set("c1")
		w.start()
		w.release()
		w.store.slow = 10 * time.Second
		w.commit("c2") // its save keeps the loop busy
		w.release()
		w.source.set("c3")
		w.pass(3 * interval)
		w.release()
		w.store.slow = 0
		w.commit("c2")
		w.pass(time.Minute)
		for _, p := range w.pusher.pushes {
			if p.commit == "c3" {
				t.Error("c3 was served although the reference was elsewhere again")
			}
		}
		w.wantServing("c2")
	})
}

func TestAPassingFailureIsTriedAgain(t *testing.T) {
	run(t, func(w *world) {
		w.source.fail(nil, errAway)
		w.source.set("c1")
		w.start()
		w.wantCondition(status.Compiled, status.Unknown, "SourceFailed")
		w.wantCondition(status.Stalled, status.False, "NotStalled")
		w.pass(time.Hour)
		if n := w.source.trees["c1"]; n < 12 || n > 30 {
			t.Errorf("tried %d times in an hour", n)
		}
		w.source.fail(nil, nil)
		w.pass(maxBackoff + time.Minute)
		w.wantServing("c1")
	})
}

func TestATreeThatIsRefusedIsNotTriedAgain(t *testing.T) {
	run(t, func(w *world) {
		w.source.set("c1")
		w.start()
		w.source.fail(nil, fmt.Errorf("%w: \"x\" is a symbolic link", source.ErrRefused))
		w.commit("c2")
		w.pass(time.Hour)
		w.wantServing("c1")
		w.wantCondition(status.Stalled, status.True, "TreeRefused")
		if n := w.source.trees["c2"]; n != 1 {
			t.Errorf("read %d times", n)
		}
	})
}

func TestAReferenceThatMovedIsAskedAgainAtOnce(t *testing.T) {
	run(t, func(w *world) {
		w.opts.Interval = time.Hour
		w.source.moved = true
		w.source.set("c1")
		w.start()
		w.pass(time.Minute)
		w.wantServing("c1")
		w.source.fail(nil, source.ErrMoved)
		w.commit("c2")
		w.pass(24 * time.Hour)
		if n := w.source.trees["c2"]; n > 24 {
			t.Errorf("a server that always says so was asked %d times in a day", n)
		}
	})
}

func TestGuards(t *testing.T) {
	run(t, func(w *world) {
		w.source.set("c1")
		w.start()
		w.commit("empty")
		w.wantServing("c1")
		w.wantCondition(status.AppliedType, status.False, "EmptyMesh")
		w.commit("foreign")
		w.wantServing("c1")
		w.wantCondition(status.AppliedType, status.False, "TrustDomainMismatch")
		a := w.store.status.Attempted
		if len(a.Diagnostics) != 1 || a.Diagnostics[0].Code != "MSH8001" || !strings.HasPrefix(a.Error, "mesh.cue:3:9: MSH8001: trustDomain is \"elsewhere\"") {
			t.Errorf("attempted %+v", a)
		}
		w.stop()
		w.opts.Vouched = []string{"old.example"}
		w.source.set("c1")
		w.start()
		w.commit("unvouched")
		w.wantServing("c1")
		w.wantCondition(status.AppliedType, status.False, "AliasWithoutRoots")
		if a := w.store.status.Attempted; len(a.Diagnostics) != 1 || !strings.HasPrefix(a.Error, "mesh.cue:4:9: MSH8002: \"older.example\"") {
			t.Errorf("attempted %+v", a)
		}
		w.commit("vouched")
		w.wantServing("vouched")
		w.stop()
		w.opts.AllowEmpty = true
		w.source.set("empty")
		w.start()
		w.wantServing("empty")
	})
}

func TestWhatCannotBeEmittedNeverBecomesLastGood(t *testing.T) {
	run(t, func(w *world) {
		w.source.set("c1")
		w.start()
		w.pusher.err = errors.New("node x: no such version")
		w.commit("c2")
		if w.store.saved.Commit != "c1" || w.store.status.Serving.Commit != "c1" {
			t.Errorf("saved %s", w.store.saved.Commit)
		}
		w.wantCondition(status.Ready, status.False, "EmitFailed")
	})
}

func TestASaveThatFailsIsTriedAgain(t *testing.T) {
	run(t, func(w *world) {
		w.store.saveErr = errors.New("disk full")
		w.source.set("c1")
		w.start()
		w.wantCondition(status.AppliedType, status.False, "StoreFailed")
		w.store.mu.Lock()
		w.store.saveErr = nil
		w.store.mu.Unlock()
		w.pass(2 * interval)
		w.wantServing("c1")
		w.wantCondition(status.Ready, status.True, "Programmed")
		if len(w.compiles) != 1 {
			t.Errorf("compiled %d times", len(w.compiles))
		}
	})
}

func TestChangedWorkloadsArePushed(t *testing.T) {
	run(t, func(w *world) {
		w.source.set("c1")
		w.start()
		w.workloads.add()
		w.pass(0)
		if n := len(w.pusher.pushes); n != 2 || w.pusher.pushes[1].workloads != 1 || w.pusher.pushes[1].commit != "c1" {
			t.Errorf("pushes %+v", w.pusher.pushes)
		}
	})
}

func TestAFaultEndsOnTime(t *testing.T) {
	run(t, func(w *world) {
		begin := time.Now()
		w.source.set("fault")
		w.start()
		w.pass(2 * time.Hour)
		if n := len(w.pusher.pushes); n != 2 || w.pusher.pushes[1].at.Sub(begin) != time.Hour {
			t.Errorf("pushes %+v from %v", w.pusher.pushes, begin)
		}
	})
}

func TestARewindServesTheOldCommitAgain(t *testing.T) {
	run(t, func(w *world) {
		w.source.set("c1")
		w.start()
		w.commit("c2")
		w.commit("c1")
		w.wantServing("c1")
		w.commit("bad1")
		w.commit("c1")
		w.wantServing("c1")
		w.wantCondition(status.Ready, status.True, "Programmed")
	})
}

func TestRestoreWithDamagedOrForeignState(t *testing.T) {
	run(t, func(w *world) {
		w.store.loadErr = store.ErrDamaged
		w.source.set("c1")
		w.start()
		w.wantServing("c1")
		w.stop()
		w.store.loadErr = nil
		w.store.saved = &store.Generation{Commit: "x", Mesh: &model.Mesh{TrustDomain: "elsewhere"}}
		r, err := New(w.opts)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Restore(); err == nil {
			t.Error("state of another trust domain was served")
		}
	})
}

func TestOptionsAreChecked(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("no error")
	}
}
