package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/meshc/meshc/reconciler/api"
	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/reconciler/store"
)

func condition(t status.ConditionType, s status.ConditionStatus, reason, message string) status.Condition {
	return status.Condition{Type: t, Status: s, Reason: reason, Message: message, LastTransitionTime: now()}
}

// Bounds of what a Mesh tells; all of it is written at each change.
const (
	maxHistory = 20
	maxNodes   = 100
)

// SaveStatus replaces the report in the Mesh. One that differs from the last only in
// its times of writing is not written: the Lease of the controller says that it
// lives.
func (s *Store) SaveStatus(st *status.Status) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := bounded(st)
	if s.written != nil && same(s.written, next) {
		return nil
	}
	if err := s.report(next); err != nil {
		return err
	}
	s.tellNews(s.written, next)
	s.written = next
	return nil
}

// report writes a status with the conditions of the store.
func (s *Store) report(st *status.Status) error {
	whole := *st
	whole.Conditions = slices.Clone(st.Conditions)
	drift := s.drift
	whole.Set(drift, drift.LastTransitionTime)
	return s.writeStatus(func(ms *api.MeshStatus) {
		ms.Status, ms.ObservedGeneration = whole, s.of
	})
}

// bounded copies the part of a status that a Mesh tells: the newest history, and
// of many nodes those that are not programmed first.
func bounded(st *status.Status) *status.Status {
	out := *st
	out.Controller.HeartbeatAt = time.Time{}
	out.Conditions = slices.Clone(st.Conditions)
	out.History = status.Newest(st.History, maxHistory)
	nodes := slices.Clone(st.Programmed.Nodes)
	if len(nodes) > maxNodes {
		slices.SortStableFunc(nodes, func(a, b status.Node) int {
			done := func(n status.Node) int {
				if n.State == status.NodeProgrammed {
					return 1
				}
				return 0
			}
			return done(a) - done(b)
		})
		nodes = nodes[:maxNodes]
	}
	out.Programmed.Nodes = nodes
	if st.Attempted != nil {
		attempted := *st.Attempted
		out.Attempted = &attempted
	}
	return &out
}

// same compares what two reports say.
func same(a, b *status.Status) bool {
	x, y := *a, *b
	x.UpdatedAt, y.UpdatedAt = time.Time{}, time.Time{}
	dx, errX := json.Marshal(&x)
	dy, errY := json.Marshal(&y)
	return errX == nil && errY == nil && bytes.Equal(dx, dy)
}

// LoadStatus gives the last report; store.ErrNothing where there is none.
func (s *Store) LoadStatus() (*status.Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.mesh.Status.Status
	if len(out.Conditions) == 0 && out.Repository == "" {
		return nil, fmt.Errorf("mesh %s/%s: %w", s.Namespace, s.Mesh, store.ErrNothing)
	}
	out.Conditions = slices.DeleteFunc(slices.Clone(out.Conditions), func(c status.Condition) bool { return c.Type == status.Drifted })
	if len(out.Conditions) == 0 {
		out.Conditions = nil
	}
	return &out, nil
}

// summarize fills the columns of kubectl.
func summarize(st *api.MeshStatus) api.Summary {
	var out api.Summary
	if g := st.Inventory.Serving; g != nil {
		out.Serving = fmt.Sprintf("%.12s", g.Commit)
		if p := st.Programmed; p.Commit == g.Commit {
			out.Programmed = fmt.Sprintf("%d/%d", p.Done, p.Total)
		}
	}
	return out
}
