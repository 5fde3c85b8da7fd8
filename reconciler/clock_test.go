package reconciler

import (
	"errors"
	"testing"
	"time"

	"github.com/meshc/meshc/reconciler/status"
)

// TestAClockThatIsSet back or forward by hours moves the times of reports and nothing
// else: what failed is tried again when it would have been, and commits are served.
func TestAClockThatIsSet(t *testing.T) {
	for name, jump := range map[string]time.Duration{"back": -3 * time.Hour, "forward": 3 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			run(t, func(w *world) {
				var off time.Duration
				w.opts.Now = func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return time.Now().Add(off) }
				w.source.set("c1")
				w.start()
				w.wantServing("c1")
				w.release()
				w.source.fail(nil, errors.New("a tree that cannot be read yet"))
				w.commit("c2")
				w.wantServing("c1")
				w.wantCondition(status.Ready, status.False, "SourceFailed")
				w.mu.Lock()
				off = jump
				w.mu.Unlock()
				w.pass(interval)
				if tries := w.source.trees["c2"]; tries > 4 {
					t.Errorf("tried %d times at once", tries)
				}
				w.release()
				w.source.fail(nil, nil)
				w.pass(time.Minute)
				w.wantServing("c2")
				w.commit("c3")
				w.wantServing("c3")
				w.wantCondition(status.Ready, status.True, "Programmed")
				if at := w.store.status.Serving.AppliedAt; at.Sub(time.Now().Add(jump)).Abs() > time.Minute {
					t.Errorf("applied at %s by a clock that says %s", at, time.Now().Add(jump))
				}
			})
		})
	}
}
