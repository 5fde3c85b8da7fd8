// Package lab is the routing lab: it changes a running Bookinfo commit by
// commit and measures what each commit does to requests. A repository, a load
// and the answers come out separately, for other tests of a running mesh.
package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options of Run.
type Options struct {
	Workspace *Workspace
	Up        *Up // the mesh that runs from it
	Requests  int // per measured split
	// Table gets the result, Progress a line per step.
	Table, Progress io.Writer
}

// lab runs the steps against a running mesh.
type lab struct {
	Options
	ledger Ledger
	rows   []row
}

// Run runs every step and prints the table. The error names every step that
// did not do what it should, and failed requests.
func Run(ctx context.Context, o Options) error {
	l := &lab{Options: o}
	if err := o.Workspace.WaitReady(ctx, o.Up, time.Minute); err != nil {
		return err
	}
	anybody := StartLoad(ctx, o.Workspace.Gateway, "", 6, l.ledger.Note)
	jason := StartLoad(ctx, o.Workspace.Gateway, "jason", 2, l.ledger.Note)
	var failed error
	for _, s := range steps(time.Now().Add(6 * time.Hour)) {
		r, err := l.step(ctx, s)
		if err != nil {
			failed = fmt.Errorf("step %q: %w", s.name, err)
			break
		}
		l.rows = append(l.rows, *r)
		fmt.Fprintf(o.Progress, "%-22s %s\n", s.name, r.measured)
	}
	anybody.End()
	jason.End()
	return errors.Join(failed, l.report())
}

func (l *lab) step(ctx context.Context, s step) (*row, error) {
	ws := l.Workspace
	for name, content := range s.files {
		if err := ws.Edit(name, func(string) string { return content }); err != nil {
			return nil, err
		}
	}
	begin := time.Now()
	commit, err := ws.Commit(s.name)
	if err != nil {
		return nil, err
	}
	r := &row{step: s, commit: commit[:8]}
	out, code, err := ws.Meshc("wait", commit, "--timeout", "60s")
	if err != nil {
		return nil, err
	}
	r.programmed = time.Since(begin)
	if s.broken != "" {
		l.judgeBroken(r, code)
	} else if code != 0 {
		status, _, _ := ws.Meshc("status")
		return nil, fmt.Errorf("meshc wait %s: exit status %d: %s\n%s", commit, code, out, status)
	}
	return r, l.measure(ctx, r)
}

// judgeBroken checks that a broken commit is refused, with its file and line
// in the status.
func (l *lab) judgeBroken(r *row, code int) {
	if code != 1 {
		r.problem("meshc wait ended with status %d for a broken commit, not 1", code)
	}
	status, _, err := l.Workspace.Meshc("status")
	if err != nil {
		r.problem("%v", err)
	}
	if !strings.Contains(status, r.step.broken) {
		r.problem("meshc status does not name %s:\n%s", r.step.broken, status)
	}
}

// measureTime is how long the answers of one step may take.
const measureTime = 5 * time.Minute

// measure asks until enough answers are in and compares them with the step.
func (l *lab) measure(ctx context.Context, r *row) error {
	users := max(min(r.step.users, l.Requests), 16)
	var mu sync.Mutex
	var answers []Answer
	full := make(chan struct{})
	timeout, cancel := context.WithTimeout(ctx, measureTime)
	defer cancel()
	load := StartLoad(timeout, l.Workspace.Gateway, r.step.user, users, func(a Answer) {
		l.ledger.Note(a)
		mu.Lock()
		defer mu.Unlock()
		answers = append(answers, a)
		if len(answers) == l.Requests {
			close(full)
		}
	})
	select {
	case <-full:
	case <-timeout.Done():
		r.problem("fewer than %d requests were answered in %v", l.Requests, measureTime)
	}
	load.End()
	r.judge(answers)
	return ctx.Err()
}

// report prints the table and says whether everything held.
func (l *lab) report() error {
	fmt.Fprintf(l.Table, "%-22s %-9s %-34s %-34s %8s %10s  %s\n", "step", "commit", "expected", "measured", "requests", "live after", "verdict")
	var bad []string
	for _, r := range l.rows {
		verdict := "ok"
		if len(r.problems) > 0 {
			verdict = "FAILED"
			bad = append(bad, r.step.name+": "+strings.Join(r.problems, "; "))
		}
		live := fmt.Sprintf("%.2f s", r.programmed.Seconds())
		if r.step.broken != "" {
			live = "refused"
		}
		fmt.Fprintf(l.Table, "%-22s %-9s %-34s %-34s %8d %10s  %s\n", r.step.name, r.commit, r.expected, r.measured, r.n, live, verdict)
	}
	total, failed, examples := l.ledger.Counts()
	fmt.Fprintf(l.Table, "requests over all commits: %d, failed: %d\n", total, failed)
	if failed > 0 {
		bad = append(bad, fmt.Sprintf("%d requests failed, for example:\n  %s", failed, strings.Join(examples, "\n  ")))
	}
	if len(l.rows) == 0 {
		bad = append(bad, "no step was run")
	}
	slices.Sort(bad)
	if len(bad) > 0 {
		return errors.New(strings.Join(bad, "\n"))
	}
	return nil
}
