package reconciler

import (
	"fmt"
	"time"

	"github.com/meshc/meshc/reconciler/plan"
)

// Reasons of a Hold.
const (
	Suspended  = "Suspended"
	RolledBack = "RolledBack"
)

// RollbackFailed is the reason of the condition Suspended where a rollback is not made.
const RollbackFailed = "RollbackFailed"

// Hold keeps what serves, whatever is committed: commits are compiled and judged, and
// their report says what they would change.
type Hold struct {
	Reason string    // Suspended or RolledBack
	Text   string    // why, for people
	Until  time.Time // zero: until there is another Reconciler
}

// active says whether it counts; nil never does.
func (h *Hold) active() bool {
	return h != nil && (h.Until.IsZero() || time.Now().Before(h.Until))
}

// String says why, and until when.
func (h *Hold) String() string {
	if h.Until.IsZero() {
		return h.Text
	}
	return fmt.Sprintf("%s (until %s)", h.Text, h.Until.UTC().Format(time.RFC3339))
}

// held is the reason of a commit that is kept from serving by an operator; "" where
// none does.
func (r *Reconciler) held() string {
	if r.opts.Hold == nil {
		return ""
	}
	return r.opts.Hold.Reason
}

// hold reports a commit that would serve.
func (r *Reconciler) hold(a *attempt, p *plan.Plan) {
	r.failed = failure{reason: r.opts.Hold.Reason, err: fmt.Errorf("%s; the commit would change: %s", r.opts.Hold, p), permanent: true}
	r.status.Attempted.Error = r.failed.err.Error()
	r.opts.Log.Warn("a commit is kept from serving", "commit", a.commit.Hash, "why", r.opts.Hold.String(), "plan", p.String())
}

// unmade says why a rollback is not made, and what keeps commits from serving beside.
func (r *Reconciler) unmade() string {
	if !r.opts.Hold.active() {
		return r.opts.Unmade
	}
	return r.opts.Unmade + "; " + r.opts.Hold.String()
}

// released says that the newest commit was kept from serving and is no more.
func (r *Reconciler) released() bool {
	return r.opts.Hold != nil && r.failed.reason == r.opts.Hold.Reason && !r.opts.Hold.active()
}
