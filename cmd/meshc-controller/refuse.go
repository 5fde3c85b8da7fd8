package main

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/meshc/meshc/reconciler"
	"github.com/meshc/meshc/reconciler/api"
	"github.com/meshc/meshc/reconciler/source"
	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/reconciler/store/cluster"
)

// prepare makes the reconciler of a Mesh. What it cannot be made of now it may be
// later, when a file is mounted or replaced: it is tried again, ever more
// slowly, until ctx ends, which gives nil. The status says why meanwhile.
func (c *inCluster) prepare(ctx context.Context, mesh *api.Mesh, state *cluster.Store) (*reconciler.Reconciler, error) {
	at := time.Now().UTC().Round(time.Millisecond)
	for pause := termPause; ; pause = min(2*pause, maxTermPause) {
		r, err := c.reconciler(mesh, state)
		if err == nil {
			err = r.Restore()
		}
		if err == nil {
			return r, nil
		}
		c.process.log.Error("the mesh cannot be followed, what serves stays", "error", err, "again in", pause)
		if err := state.SaveStatus(refused(mesh, err, at)); err != nil {
			return nil, err
		}
		if sleep(ctx, pause); ctx.Err() != nil {
			return nil, nil
		}
	}
}

// sleep waits, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// refused is the report of a Mesh that cannot be followed since at.
func refused(m *api.Mesh, err error, at time.Time) *status.Status {
	s := m.Status.Status
	s.Conditions = slices.Clone(s.Conditions)
	s.Repository, s.Ref, s.Path = m.Spec.Repository, m.Spec.Ref, m.Spec.Path
	if canonical, err := source.Canonical(m.Spec.Repository); err == nil {
		s.Repository = canonical
	}
	if m.Status.Repository != "" && m.Status.Repository != s.Repository {
		s.History = slices.Clone(s.History)
		s.From(m.Status.Repository, s.Repository)
	}
	reason, stalled := "InvalidSpec", status.True
	var file *fs.PathError
	var domain *reconciler.WrongStateError
	switch {
	case errors.As(err, &domain):
		reason = "TrustDomainMismatch"
	case errors.As(err, &file):
		reason, stalled = "FileUnreadable", status.False // it may be mounted yet
	}
	reconciling := status.False
	if stalled == status.False {
		reconciling = status.True
	}
	for t, is := range map[status.ConditionType]status.ConditionStatus{status.Ready: status.False, status.Reconciling: reconciling, status.Stalled: stalled} {
		s.Set(status.Condition{Type: t, Status: is, Reason: reason, Message: err.Error()}, at)
	}
	return &s
}
