package reconciler

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/reconciler/guard"
	"github.com/meshc/meshc/reconciler/plan"
	"github.com/meshc/meshc/reconciler/source"
	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/reconciler/store"
)

// attempt is one compile of one commit.
type attempt struct {
	commit   source.Commit
	observed time.Time
	cancel   context.CancelFunc
	cut      bool   // cancelled for a newer commit; belongs to the loop
	grounds  string // fingerprint of the gate before it judged
	judged   source.Judgement
	tree     any // names the content that was compiled; nil where that has no name
	result   *compiler.Result
	held     *guard.Held // by a guard; nil: let by
	err      error
}

// useless says that nothing comes of a compile: it was cut short, or the
// reference is back at what serves.
func (r *Reconciler) useless(a *attempt) bool {
	back := r.waiting != nil && r.serving != nil && r.waiting.commit.Hash == r.serving.Commit
	return a.cut || back && a.commit.Hash != r.serving.Commit
}

// begin compiles a commit beside the loop.
func (r *Reconciler) begin(ctx context.Context, h observation) {
	c, observed := h.commit, h.at
	if r.status.Attempted != nil && r.status.Attempted.Commit == c.Hash && r.retries > 0 {
		observed = r.status.Attempted.ObservedAt
	}
	r.current = c
	r.failed = failure{}
	r.status.Attempted = &status.Attempt{Commit: c.Hash, Ref: c.Ref, ObservedAt: observed}
	ctx, cancel := context.WithCancel(ctx)
	a := &attempt{commit: c, observed: observed, cancel: cancel}
	r.running = a
	applied, last := r.everApplied(), r.made
	var serving *model.Mesh
	if r.serving != nil {
		serving = r.serving.Mesh
	}
	go func() {
		if a.err = r.vet(ctx, a, applied); a.err == nil {
			a.err = r.evaluate(ctx, a, last)
		}
		if a.err == nil && a.result.Model != nil && r.opts.Guards != nil && ctx.Err() == nil {
			a.held, a.err = r.opts.Guards.Hold(serving, c.Hash, a.result)
		}
		r.results <- a
	}()
}

// everApplied gives the commits of this repository that were applied, as far as they
// are remembered, beginning with what serves.
func (r *Reconciler) everApplied() []source.Commit {
	var out []source.Commit
	for i := len(r.status.History) - 1; i >= 0; i-- {
		if e := r.status.History[i]; e.Outcome != status.Rejected && e.Repository == "" {
			out = append(out, source.Commit{Ref: e.Ref, Hash: e.Commit})
		}
	}
	// The history is bounded; what serves is always known.
	if g := r.serving; g != nil && g.Spec.Repository == r.opts.Source.String() && (len(out) == 0 || out[0].Hash != g.Commit || out[0].Ref == "") {
		out = slices.Insert(out, 0, source.Commit{Ref: r.status.Serving.Ref, Hash: g.Commit})
	}
	return out
}

// compiled is the result of a compile with the name of the content it was made of.
type compiled struct {
	tree   any
	result *compiler.Result
}

// evaluate compiles what is not compiled already: most commits to a repository
// that holds more than a mesh leave the mesh as it is.
func (r *Reconciler) evaluate(ctx context.Context, a *attempt, last compiled) error {
	tree, err := r.opts.Source.Tree(ctx, a.commit, r.opts.Path)
	if err != nil {
		return err
	}
	if info, err := fs.Stat(tree, "."); err == nil {
		if named, ok := info.Sys().(interface{ ContentName() string }); ok {
			a.tree = named.ContentName()
		}
	}
	if a.tree != nil && a.tree == last.tree {
		a.result = last.result
		return nil
	}
	a.result, err = r.opts.Compile(ctx, tree)
	return err
}

// verifies says whether anything must be signed.
func (r *Reconciler) verifies() bool { return r.opts.Gate != nil && r.opts.Gate.Verifies() }

// vet asks the gate whether a commit may be served after the applied one.
func (r *Reconciler) vet(ctx context.Context, a *attempt, applied []source.Commit) error {
	if r.opts.Gate == nil {
		return nil
	}
	a.grounds = r.opts.Gate.Fingerprint()
	var err error
	a.judged, err = r.opts.Gate.Judge(ctx, applied, a.commit)
	return err
}

// onResult applies or rejects what was compiled, then takes up what waits.
func (r *Reconciler) onResult(ctx context.Context, a *attempt) {
	a.cancel()
	r.running = nil
	skip := r.useless(a)
	next := r.waiting
	r.waiting = nil
	if !skip {
		r.judge(a)
	}
	if next != nil && (skip || next.commit.Hash != a.commit.Hash) {
		r.begin(ctx, *next)
	} else {
		r.preempt = false
	}
	r.report()
}

func (r *Reconciler) judge(a *attempt) {
	r.status.Attempted.SignedBy, r.status.Attempted.Notice = a.judged.SignedBy, a.judged.Notice
	if a.judged.Notice != "" {
		r.opts.Log.Warn("history changed", "commit", a.commit.Hash, "ref", a.commit.Ref, "notice", a.judged.Notice)
	}
	switch {
	case errors.Is(a.err, source.ErrMoved) && r.retries == 0:
		r.retries++
		r.retryAt, r.failed = time.Now(), failure{reason: "Moved", err: a.err}
		r.Wake() // tells where to
	case a.err != nil:
		r.fail(a, "SourceFailed", a.err)
	case a.result.Model == nil:
		r.status.Attempted.Diagnostics = status.Diagnostics(a.result.Diags)
		r.reject(a, failure{reason: "CompileFailed", err: errors.New(summary(r.status.Attempted.Diagnostics))})
	default:
		r.status.Attempted.Diagnostics = status.Diagnostics(a.result.Diags)
		r.apply(a, &store.Generation{
			Commit: a.commit.Hash, Mesh: a.result.Model,
			Spec: store.Spec{Repository: r.opts.Source.String(), Ref: r.opts.Ref, Path: r.opts.Path},
		})
	}
}

// summary is the first error with its place, and how many there are.
func summary(list []status.Diagnostic) string {
	errs := 0
	for _, d := range list {
		if d.Severity == "error" {
			errs++
		}
	}
	if errs == 0 {
		return "the compiler gave no model and no reason"
	}
	d := list[0]
	text := fmt.Sprintf("%s: %s", d.Code, d.Message)
	if d.File != "" {
		text = fmt.Sprintf("%s:%d:%d: %s", d.File, d.Line, d.Col, text)
	}
	if errs > 1 {
		text += fmt.Sprintf(" (and %d more)", errs-1)
	}
	return text
}

// fail tells what the commit itself is to blame for from what may pass, which
// is tried again.
func (r *Reconciler) fail(a *attempt, reason string, err error) {
	if errors.Is(err, source.ErrHeld) {
		r.reject(a, failure{reason: "HistoryHeld", err: err})
		return
	}
	if errors.Is(err, source.ErrUntrusted) {
		r.reject(a, failure{reason: verificationFailed, err: err, grounds: a.grounds})
		return
	}
	if errors.Is(err, source.ErrRefused) || errors.Is(err, source.ErrLimit) || errors.Is(err, fs.ErrNotExist) {
		r.reject(a, failure{reason: "TreeRefused", err: err})
		return
	}
	r.retries++
	wait := backoff(r.opts.Interval, r.retries)
	r.retryAt = time.Now().Add(wait)
	r.failed = failure{reason: reason, err: err}
	r.status.Attempted.Error = err.Error()
	r.opts.Log.Error("a commit could not be judged and is tried again", "commit", a.commit.Hash, "in", wait, "error", err)
}

// reject records that a commit will not be served.
func (r *Reconciler) reject(a *attempt, f failure) {
	f.permanent = true
	r.failed = f
	r.status.Attempted.Error = f.err.Error()
	r.status.Record(status.Entry{Commit: a.commit.Hash, Ref: a.commit.Ref, Outcome: status.Rejected, Error: f.err.Error(), ObservedAt: a.observed})
	r.opts.Log.Error("a commit was rejected, what serves stays", "commit", a.commit.Hash, "reason", f.reason, "error", f.err)
}

// apply makes g what serves: guard, plan, push, save. The push comes before
// the save, so that what cannot be emitted never becomes the last good commit.
func (r *Reconciler) apply(a *attempt, g *store.Generation) {
	f := r.refuses(a)
	if f.err == nil && a.held != nil {
		r.status.Attempted.Diagnostics = append(status.Diagnostics(a.held.Found), r.status.Attempted.Diagnostics...)
		f = failure{reason: guardBlocked, err: fmt.Errorf("%s; approve the commit by name, or loosen the guard, if it is meant", a.held.Text)}
	}
	if f.err != nil {
		r.reject(a, f)
		return
	}
	p, err := r.Plan(g.Mesh)
	if err != nil {
		r.reject(a, failure{reason: "PlanFailed", err: err})
		return
	}
	if r.opts.Hold.active() && (r.serving == nil || r.serving.Commit != g.Commit) {
		r.hold(a, p)
		return
	}
	if err := r.Push(g); err != nil {
		r.reject(a, failure{reason: emitFailed, err: err})
		return
	}
	if r.opts.SavedServes {
		if err := r.opts.Store.Save(g); err != nil {
			r.fail(a, "ApplyFailed", err)
			return
		}
	}
	r.opts.Log.Info("a commit was applied", "commit", g.Commit, "plan", p.String())
	again := r.serving != nil && r.serving.Commit == g.Commit && r.status.Serving.Ref == a.commit.Ref
	r.serving, r.unread, r.unsaved = g, nil, !r.opts.SavedServes
	r.made = compiled{a.tree, a.result}
	if !again {
		r.status.Serving = &status.Serving{Commit: g.Commit, Ref: a.commit.Ref, AppliedAt: r.now()}
		r.status.Record(status.Entry{Commit: g.Commit, Ref: a.commit.Ref, Outcome: status.Applied, ObservedAt: a.observed, AppliedAt: r.now()})
	}
	r.saveAgain()
}

// verificationFailed is the reason of a commit that is not signed as the gate
// demands. It may go away with other keys.
const verificationFailed = "VerificationFailed"

// emitFailed is the reason of a commit that cannot be pushed. Unlike other
// reasons it may go away without another commit: see onWorkloads.
const emitFailed = "EmitFailed"

// guardBlocked is the reason of a commit that a guard holds back. It may go away with
// other guards.
const guardBlocked = "GuardBlocked"

// refuses says what would be right by its letter and is hardly ever meant.
func (r *Reconciler) refuses(a *attempt) failure {
	res := a.result
	if f := r.ofTrust(res); f.err != nil {
		return f
	}
	m := res.Model
	switch {
	case r.serving == nil || r.opts.AllowEmpty:
	case len(m.Services) == 0 && len(r.serving.Mesh.Services) > 0:
		return failure{reason: "EmptyMesh", err: fmt.Errorf("the commit has no service and %d serve: confirm with --allow-empty", len(r.serving.Mesh.Services))}
	case empty(m) && !empty(r.serving.Mesh):
		return failure{reason: "EmptyMesh", err: fmt.Errorf("the commit has nothing, and %d gateways and %d externals serve: confirm with --allow-empty", len(r.serving.Mesh.Gateways), len(r.serving.Mesh.Externals))}
	}
	return r.ofUnread(a.commit, m)
}

// Plan compares m with what serves.
func (r *Reconciler) Plan(m *model.Mesh) (*plan.Plan, error) {
	if r.serving == nil {
		return plan.Compute(m, nil)
	}
	return plan.Compute(m, r.serving.Mesh)
}
