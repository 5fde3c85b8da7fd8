// Package storetest holds what every store of the reconciler has to keep to, so
// that no feature has to know which one it talks to.
package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/reconciler/store"
)

// Store is what the reconciler asks of a store.
type Store interface {
	Load() (*store.Generation, error)
	Save(g *store.Generation) error
	LoadStatus() (*status.Status, error)
	SaveStatus(s *status.Status) error
}

// Open begins to use a store whose state outlives it. The one that was opened
// before, if any, has ended, as a process ends.
type Open func(t *testing.T) Store

// Generation is a small one, with the services named, a gateway and an external.
func Generation(commit string, services ...string) *store.Generation {
	m := &model.Mesh{Name: "m", TrustDomain: "cluster.local", Externals: []*model.External{{Ref: model.Ref{Namespace: "default", Name: "api"}}}}
	for _, name := range services {
		m.Services = append(m.Services, &model.Service{
			Ref:    model.Ref{Namespace: "default", Name: name},
			Routes: []*model.Route{{Name: "rest", Timeout: 3 * time.Second, Split: []model.Split{{Version: "v1", BasisPoints: 10_000}}}},
		})
	}
	m.Gateways = []*model.Gateway{{Ref: model.Ref{Namespace: "default", Name: "edge"}}}
	return &store.Generation{Commit: commit, Spec: store.Spec{Repository: "/r", Ref: "main", Path: "."}, Mesh: m}
}

// Run holds a kind of store to all of it; make gives one that is empty.
func Run(t *testing.T, make func(t *testing.T) Open) {
	t.Run("nothing was saved", func(t *testing.T) { nothing(t, make(t)) })
	t.Run("what is saved is read", func(t *testing.T) { saved(t, make(t)) })
	t.Run("saving again changes nothing", func(t *testing.T) { again(t, make(t)) })
	t.Run("the status is kept", func(t *testing.T) { statusKept(t, make(t)) })
	t.Run("a large generation", func(t *testing.T) { large(t, make(t)) })
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func nothing(t *testing.T, open Open) {
	s := open(t)
	if _, err := s.Load(); !errors.Is(err, store.ErrNothing) {
		t.Errorf("empty store: %v", err)
	}
	if _, err := s.LoadStatus(); !errors.Is(err, store.ErrNothing) {
		t.Errorf("empty store: %v", err)
	}
}

func wantServing(t *testing.T, s Store, want *store.Generation) {
	t.Helper()
	got, err := s.Load()
	must(t, err)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func saved(t *testing.T, open Open) {
	s := open(t)
	for i, services := range [][]string{{"a"}, {"a", "b"}, {"b"}, nil, {"a", "b"}} {
		g := Generation(fmt.Sprint("commit", i), services...)
		must(t, s.Save(g))
		wantServing(t, s, g)
		s = open(t)
		wantServing(t, s, g)
	}
}

func again(t *testing.T, open Open) {
	s := open(t)
	must(t, s.Save(Generation("1", "a", "b")))
	g := Generation("2", "a", "c")
	for range 3 {
		must(t, s.Save(g))
		wantServing(t, s, g)
	}
	s = open(t)
	must(t, s.Save(g))
	wantServing(t, s, g)
	back := Generation("1", "a", "b")
	must(t, s.Save(back)) // as a revert does
	wantServing(t, s, back)
	same := Generation("3", "a", "b") // another commit with the same mesh
	must(t, s.Save(same))
	wantServing(t, open(t), same)
}

func statusKept(t *testing.T, open Open) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	st := &status.Status{
		Repository: "/r", Ref: "main", Path: ".", TrustDomain: "cluster.local", Mesh: "m",
		Attempted: &status.Attempt{Commit: "c2", ObservedAt: at, Error: "no", Diagnostics: []status.Diagnostic{{Code: "MSH2001", Severity: "error", File: "a.cue", Line: 7, Col: 3, Message: "m"}}},
		Serving:   &status.Serving{Commit: "c1", AppliedAt: at},
		Programmed: status.Programmed{Commit: "c1", Done: 1, Total: 2, Nodes: []status.Node{
			{ID: "sidecar~default/a", State: status.NodeProgrammed, Commit: "c1"}, {ID: "sidecar~default/b", State: status.NodeRejected, Detail: "d"}}},
		Conditions: []status.Condition{{Type: status.Ready, Status: status.False, Reason: "CompileFailed", Message: "m", LastTransitionTime: at}},
		History:    []status.Entry{{Commit: "c1", Outcome: status.Applied, ObservedAt: at, AppliedAt: at, Done: 1, Total: 2}},
		Controller: status.Controller{PID: 7, StartedAt: at}, UpdatedAt: at,
	}
	s := open(t)
	must(t, s.SaveStatus(st))
	must(t, s.Save(Generation("c1", "a"))) // which does not touch it
	for range 2 {
		got, err := s.LoadStatus()
		must(t, err)
		if d := cmp.Diff(st, got); d != "" {
			t.Error(d)
		}
		s = open(t)
	}
}

// large has a service that no single object of a cluster would take.
func large(t *testing.T, open Open) {
	g := Generation("c", "a", "b")
	for i := range 3_000 {
		g.Mesh.Services[0].Routes = append(g.Mesh.Services[0].Routes, &model.Route{Name: fmt.Sprint("rüte", i), Timeout: time.Second, Split: []model.Split{{Version: "v1", BasisPoints: 10_000}}})
	}
	s := open(t)
	must(t, s.Save(Generation("b", "a", "b")))
	must(t, s.Save(g))
	wantServing(t, s, g)
	s = open(t)
	wantServing(t, s, g)
	must(t, s.Save(Generation("d", "a")))
	wantServing(t, s, Generation("d", "a"))
}
