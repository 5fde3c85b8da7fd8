package xds

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	emitxds "github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
)

// stored gives what comes back from a store.
func stored(t *testing.T, m *model.Mesh) *model.Mesh {
	t.Helper()
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	back := new(model.Mesh)
	if err := json.Unmarshal(data, back); err != nil {
		t.Fatal(err)
	}
	return back
}

// TestWhatWasCheckedIsNotBuiltAgain: a commit is built once, to see whether it can
// be; anything else than that is built.
func TestWhatWasCheckedIsNotBuiltAgain(t *testing.T) {
	emitted, clock := 0, time.Now()
	s := New(Options{Now: func() time.Time { return clock }, Emit: eachEmitted(func(*model.Workload, *emitxds.Resources) error { emitted++; return nil })})
	pemOf := newAuthority(t).pem()
	must(t, s.SetBundle(domain, pemOf))
	d := shop()
	whole := len(d.Workloads)
	wantEmitted := func(what string, n int, f func() error) {
		t.Helper()
		emitted = 0
		must(t, f())
		if emitted != n {
			t.Errorf("%s: %d nodes were built, want %d", what, emitted, n)
		}
	}
	check := func() error { return s.Check("c1", d) }
	wantEmitted("a check", whole, check)
	if s.snapshot() != nil {
		t.Error("a check serves")
	}
	served := &Desired{Mesh: stored(t, d.Mesh), Workloads: slices.Clone(d.Workloads)}
	wantEmitted("the same, from the store", 0, func() error { return s.SetDesired("c1", served) })
	if st := s.snapshot(); st == nil || st.commit != "c1" || len(st.nodes) != whole {
		t.Errorf("serving %+v", st)
	}
	wantEmitted("a check of what is served", 0, check)
	wantEmitted("again", whole, func() error { return s.SetDesired("c1", served) })

	check = func() error { // not of what is served
		if err := s.SetDesired("c0", served); err != nil {
			return err
		}
		return s.Check("c1", d)
	}
	must(t, check())
	wantEmitted("another commit", whole, func() error { return s.SetDesired("c2", served) })
	must(t, check())
	other := stored(t, d.Mesh)
	other.Services[0].Routes[0].Timeout = 7 * time.Second
	wantEmitted("another mesh", whole, func() error { return s.SetDesired("c1", &Desired{Mesh: other, Workloads: d.Workloads}) })
	must(t, check())
	wantEmitted("other workloads", whole-1, func() error { return s.SetDesired("c1", &Desired{Mesh: d.Mesh, Workloads: d.Workloads[1:]}) })
	must(t, check())
	wantEmitted("another bundle, of what serves", whole, func() error { return s.SetBundle(domain, newAuthority(t).pem()) })
	wantEmitted("after another bundle", whole, func() error { return s.SetDesired("c1", d) })

	d.Mesh.Services[0].Routes[0].Delay = &model.Delay{Fixed: time.Second, BasisPoints: 1, Until: clock.Add(time.Minute)}
	must(t, check())
	clock = clock.Add(2 * time.Minute)
	wantEmitted("after a fault has ended", whole, func() error { return s.SetDesired("c1", d) })
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
