package reconciler

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/meshc/meshc/reconciler/status"
)

// report writes the status down. It is derived from the loop's state as a
// whole, so that no step can leave a condition behind.
func (r *Reconciler) report() {
	s, at := r.status, r.now()
	if r.serving != nil {
		s.Mesh = r.serving.Mesh.Name
		s.Observe(r.opts.Pusher.Progress(r.serving.Commit), at)
	}
	for _, c := range r.conditions() {
		s.Set(c, at)
	}
	if r.news() {
		s.UpdatedAt = at
		r.beat()
	}
}

// news says whether the report differs from the one before, apart from its times
// of writing.
func (r *Reconciler) news() bool {
	s := *r.status
	s.UpdatedAt, s.Controller.HeartbeatAt = time.Time{}, time.Time{}
	now, err := json.Marshal(&s)
	if err != nil {
		return true // the store says why it cannot be written
	}
	same := bytes.Equal(now, r.reported)
	r.reported = now
	return !same
}

// beat writes the report with the time of now: who reads it knows that this
// process runs.
func (r *Reconciler) beat() {
	r.status.Controller.HeartbeatAt = r.now()
	if err := r.opts.Store.SaveStatus(r.status); err != nil {
		r.opts.Log.Error("the status could not be written", "error", err)
	}
}

func (r *Reconciler) conditions() []status.Condition {
	out := []status.Condition{r.ready(), r.reconciling(), r.stalled(), r.compiled(), r.applied(), r.programmed()}
	if r.verifies() {
		out = append(out, r.verified())
	}
	if h := r.opts.Hold; r.opts.Unmade != "" {
		out = append(out, condition(status.Suspended, boolean(h.active()), RollbackFailed, r.unmade(), r.current.Hash))
	} else if h != nil {
		out = append(out, condition(status.Suspended, boolean(h.active()), h.Reason, h.String(), r.current.Hash))
	}
	return append(out, r.discovered()...)
}

func condition(t status.ConditionType, s status.ConditionStatus, reason, message, commit string) status.Condition {
	return status.Condition{Type: t, Status: s, Reason: reason, Message: message, ObservedRevision: commit}
}

func boolean(b bool) status.ConditionStatus {
	if b {
		return status.True
	}
	return status.False
}

func (r *Reconciler) count() string {
	if r.status.Programmed.Total == 0 {
		return "no proxy is known yet"
	}
	text := fmt.Sprintf("programmed %d/%d", r.status.Programmed.Done, r.status.Programmed.Total)
	if behind := r.status.Programmed.Behind; len(behind) > 0 {
		text += ", not given to proxies yet by " + strings.Join(behind, ", ")
	}
	return text
}

// progress is the reason that goes with count.
func (r *Reconciler) progress() string {
	switch p := r.status.Programmed; {
	case p.Total == 0:
		return "NoProxies"
	case p.Complete():
		return "Programmed"
	}
	return "Programming"
}

func (r *Reconciler) ready() status.Condition {
	c := func(s status.ConditionStatus, reason, message string) status.Condition {
		return condition(status.Ready, s, reason, message, r.current.Hash)
	}
	switch {
	case r.serving == nil && r.failed.err == nil && r.fetchErr == nil:
		return c(status.False, "Starting", "no commit has been applied yet")
	case r.fetchErr != nil:
		return c(status.Unknown, "FetchFailed", r.fetchErr.Error())
	case r.failed.err != nil:
		return c(status.False, r.failed.reason, r.failed.err.Error())
	case r.pushErr != nil:
		return c(status.False, emitFailed, r.pushErr.Error())
	case r.saveErr != nil:
		return c(status.False, "StoreFailed", r.saveErr.Error())
	case r.running != nil:
		return c(status.False, "Compiling", "the newest commit is being compiled")
	case r.current.Hash == "":
		return c(status.Unknown, "Restored", "the last good commit serves, the repository has not answered yet")
	}
	return c(boolean(r.status.Programmed.Complete()), r.progress(), r.count())
}

func (r *Reconciler) reconciling() status.Condition {
	c := func(busy bool, reason, message string) status.Condition {
		return condition(status.Reconciling, boolean(busy), reason, message, r.current.Hash)
	}
	switch {
	case r.running != nil:
		return c(true, "Compiling", "the newest commit is being compiled")
	case r.fetchErr != nil:
		return c(true, "FetchFailed", "the repository is asked again, ever more slowly")
	case r.failed.err != nil && !r.failed.permanent:
		return c(true, r.failed.reason, "tried again")
	case r.saveErr != nil:
		return c(true, "StoreFailed", "tried again")
	case r.serving != nil && !r.status.Programmed.Complete():
		return c(true, r.progress(), r.count())
	}
	return c(false, "Idle", "nothing to do")
}

func (r *Reconciler) stalled() status.Condition {
	if r.failed.permanent {
		remedy := "waits for another commit: "
		switch r.failed.reason {
		case emitFailed:
			remedy = "waits for another commit or other workloads: "
		case verificationFailed:
			remedy = "waits for another commit or other keys: "
		case r.held():
			remedy = "waits for an operator: "
		case guardBlocked:
			remedy = "waits for another commit or an approval: "
		}
		return condition(status.Stalled, status.True, r.failed.reason, remedy+r.failed.err.Error(), r.current.Hash)
	}
	return condition(status.Stalled, status.False, "NotStalled", "nothing needs an operator", r.current.Hash)
}

func (r *Reconciler) compiled() status.Condition {
	c := func(s status.ConditionStatus, reason, message string) status.Condition {
		return condition(status.Compiled, s, reason, message, r.current.Hash)
	}
	switch {
	case r.current.Hash == "" || r.running != nil:
		return c(status.Unknown, "Compiling", "not compiled yet")
	case r.failed.reason == "CompileFailed" || r.failed.reason == "TreeRefused":
		return c(status.False, r.failed.reason, r.failed.err.Error())
	case r.failed.reason == "SourceFailed" || r.failed.reason == verificationFailed || r.failed.reason == "HistoryHeld":
		return c(status.Unknown, r.failed.reason, r.failed.err.Error())
	}
	return c(status.True, "Compiled", "the commit compiles")
}

// verified says whether the gate let the attempted commit pass.
func (r *Reconciler) verified() status.Condition {
	c := func(s status.ConditionStatus, reason, message string) status.Condition {
		return condition(status.Verified, s, reason, message, r.current.Hash)
	}
	switch {
	case r.current.Hash == "" || r.running != nil:
		return c(status.Unknown, "Verifying", "not verified yet")
	case r.failed.reason == verificationFailed:
		return c(status.False, r.failed.reason, r.failed.err.Error())
	case r.failed.reason == "SourceFailed" || r.failed.reason == "Moved" || r.failed.reason == "HistoryHeld":
		return c(status.Unknown, r.failed.reason, r.failed.err.Error())
	case r.status.Attempted.SignedBy == "":
		return c(status.True, "Accepted", "no signature was asked for")
	}
	return c(status.True, "Verified", "signed by "+r.status.Attempted.SignedBy)
}

func (r *Reconciler) applied() status.Condition {
	c := func(s status.ConditionStatus, reason, message string) status.Condition {
		return condition(status.AppliedType, s, reason, message, r.current.Hash)
	}
	switch {
	case r.current.Hash == "" || r.running != nil:
		return c(status.Unknown, "Compiling", "not compiled yet")
	case r.failed.err != nil:
		return c(status.False, r.failed.reason, r.failed.err.Error())
	case r.saveErr != nil:
		return c(status.False, "StoreFailed", r.saveErr.Error())
	}
	return c(status.True, "Applied", "saved and handed to the push server")
}

func (r *Reconciler) programmed() status.Condition {
	if r.serving == nil {
		return condition(status.OnNodes, status.False, "NothingServes", "no commit has been applied yet", "")
	}
	return condition(status.OnNodes, boolean(r.status.Programmed.Complete()), r.progress(), r.count(), r.serving.Commit)
}
