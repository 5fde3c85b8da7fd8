package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/reconciler"
	"github.com/meshc/meshc/reconciler/api"
	"github.com/meshc/meshc/reconciler/guard"
	"github.com/meshc/meshc/reconciler/store"
)

// kept answers every rollback alike.
type kept struct{ err error }

func (k kept) Rollback(string) error { return k.err }

// TestSteer: what is followed and what is kept, by every way that a rollback goes.
func TestSteer(t *testing.T) {
	hash := strings.Repeat("ab", 20)
	nothing := fmt.Errorf("neither: %w", store.ErrNothing)
	broken := errors.New("the API server is away")
	for name, c := range map[string]struct {
		to        string
		suspended bool
		kept      error
		ref, hold string
		refused   bool
		err       error
	}{
		"nothing said":                        {ref: "main"},
		"suspended":                           {suspended: true, ref: "main", hold: reconciler.Suspended},
		"to what served before":               {to: "abababab", suspended: true, ref: "main", hold: reconciler.RolledBack},
		"by a full hash, though suspended":    {to: hash, suspended: true, kept: nothing, ref: hash},
		"by a full hash, kept and damaged":    {to: hash, kept: store.ErrDamaged, ref: hash},
		"to nothing":                          {to: "abababab", kept: nothing, ref: "main", refused: true},
		"to nothing, and suspended":           {to: "abababab", suspended: true, kept: nothing, ref: "main", hold: reconciler.Suspended, refused: true},
		"to what is damaged":                  {to: "abababab", kept: store.ErrDamaged, ref: "main", refused: true},
		"what it needs cannot be asked today": {to: "abababab", kept: broken, err: broken},
	} {
		m := &api.Mesh{Spec: api.MeshSpec{Ref: "main"}}
		if c.to != "" {
			m.Spec.Rollback = &api.Rollback{To: c.to, Until: time.Now().Add(time.Hour)}
		}
		if c.suspended {
			m.Spec.Suspend = &api.Suspend{Reason: "why"}
		}
		got, err := steer(m, kept{c.kept})
		hold := ""
		if got.hold != nil {
			hold = got.hold.Reason
		}
		if !errors.Is(err, c.err) || got.ref != c.ref || hold != c.hold || (got.refused != "") != c.refused || (got.back == hash) != (c.ref == hash) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// TestARollbackMayTakeAway what came since, and is held to the other guards.
func TestARollbackMayTakeAway(t *testing.T) {
	m := &api.Mesh{Spec: api.MeshSpec{Guards: api.Guards{PruneCount: 1, PrunePercent: 10, Namespaces: []string{"a"}}}}
	mesh := func(names ...string) *model.Mesh {
		out := &model.Mesh{}
		for _, name := range names {
			out.Services = append(out.Services, &model.Service{Ref: model.Ref{Namespace: name[:1], Name: name}})
		}
		return out
	}
	hold := func(back string, next *model.Mesh) *guard.Held {
		held, err := guards(m, back).Hold(mesh("a1", "a2", "a3"), "c", &compiler.Result{Model: next})
		if err != nil {
			t.Fatal(err)
		}
		return held
	}
	if hold("", mesh("a9")) == nil || hold("c", mesh("a9")) != nil || hold("c", mesh("b1")) == nil {
		t.Error("the guards of a rollback are others than those of what may be taken away")
	}
}
