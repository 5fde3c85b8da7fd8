package reconciler

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/model"
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
	cut      bool // cancelled for a newer commit; belongs to the loop
	result   *compiler.Result
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
	r.status.Attempted = &status.Attempt{Commit: c.Hash, ObservedAt: observed}
	ctx, cancel := context.WithCancel(ctx)
	a := &attempt{commit: c, observed: observed, cancel: cancel}
	r.running = a
	go func() {
		a.result, a.err = r.Compile(ctx, c)
		r.results <- a
	}()
}

// Compile reads the tree of c and judges it.
func (r *Reconciler) Compile(ctx context.Context, c source.Commit) (*compiler.Result, error) {
	tree, err := r.opts.Source.Tree(ctx, c, r.opts.Path)
	if err != nil {
		return nil, err
	}
	return r.opts.Compile(ctx, tree)
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
	switch {
	case errors.Is(a.err, source.ErrMoved) && r.retries == 0:
		r.retries++
		r.retryAt, r.failed = now(), failure{reason: "Moved", err: a.err}
		select {
		case r.pollSoon <- struct{}{}: // tells where to
		default:
		}
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
	if errors.Is(err, source.ErrRefused) || errors.Is(err, source.ErrLimit) || errors.Is(err, fs.ErrNotExist) {
		r.reject(a, failure{reason: "TreeRefused", err: err})
		return
	}
	r.retries++
	wait := backoff(r.opts.Interval, r.retries)
	r.retryAt = now().Add(wait)
	r.failed = failure{reason: reason, err: err}
	r.status.Attempted.Error = err.Error()
	r.opts.Log.Error("a commit could not be judged and is tried again", "commit", a.commit.Hash, "in", wait, "error", err)
}

// reject records that a commit will not be served.
func (r *Reconciler) reject(a *attempt, f failure) {
	f.permanent = true
	r.failed = f
	r.status.Attempted.Error = f.err.Error()
	r.status.Record(status.Entry{Commit: a.commit.Hash, Outcome: status.Rejected, Error: f.err.Error(), ObservedAt: a.observed})
	r.opts.Log.Error("a commit was rejected, what serves stays", "commit", a.commit.Hash, "reason", f.reason, "error", f.err)
}

// apply makes g what serves: guard, plan, push, save. The push comes before
// the save, so that what cannot be emitted never becomes the last good commit.
func (r *Reconciler) apply(a *attempt, g *store.Generation) {
	if f := r.guard(a.result); f.err != nil {
		r.reject(a, f)
		return
	}
	p, err := r.Plan(g.Mesh)
	if err != nil {
		r.reject(a, failure{reason: "PlanFailed", err: err})
		return
	}
	if err := r.Push(g); err != nil {
		r.reject(a, failure{reason: emitFailed, err: err})
		return
	}
	r.opts.Log.Info("a commit was applied", "commit", g.Commit, "plan", p.String())
	again := r.serving != nil && r.serving.Commit == g.Commit
	r.serving, r.unsaved = g, true
	if !again {
		r.status.Serving = &status.Serving{Commit: g.Commit, AppliedAt: now()}
		r.status.Record(status.Entry{Commit: g.Commit, Outcome: status.Applied, ObservedAt: a.observed, AppliedAt: now()})
	}
	r.saveAgain()
}

// emitFailed is the reason of a commit that cannot be pushed. Unlike other
// reasons it may go away without another commit: see onWorkloads.
const emitFailed = "EmitFailed"

// guard refuses what would be right by its letter and is hardly ever meant.
func (r *Reconciler) guard(res *compiler.Result) failure {
	if f := r.ofTrustDomain(res); f.err != nil {
		return f
	}
	m := res.Model
	if len(m.Services) == 0 && r.serving != nil && len(r.serving.Mesh.Services) > 0 && !r.opts.AllowEmpty {
		return failure{reason: "EmptyMesh", err: fmt.Errorf("the commit has no service and %d serve: confirm with --allow-empty", len(r.serving.Mesh.Services))}
	}
	return failure{}
}

// Plan compares m with what serves.
func (r *Reconciler) Plan(m *model.Mesh) (*plan.Plan, error) {
	if r.serving == nil {
		return plan.Compute(m, nil)
	}
	return plan.Compute(m, r.serving.Mesh)
}
