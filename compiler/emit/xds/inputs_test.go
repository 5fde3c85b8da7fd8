package xds_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/digest"
	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
)

// What is not among the inputs of a proxy has no say in its resources: it may
// change and vanish.
func TestResourcesDependOnTheirInputsOnly(t *testing.T) {
	for seed := range uint64(150) {
		m := newDice(seed, false).mesh()
		all := xds.DefaultWorkloads(m)
		r, err := xds.NewRenderer(m, all, xds.Options{Now: now})
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range m.Services {
			less := *m
			less.Services = slices.Delete(slices.Clone(m.Services), i, i+1)
			others := slices.DeleteFunc(slices.Clone(all), func(w *model.Workload) bool { return w.Service == s.Ref && w.Role != model.RoleGateway })
			without, err := xds.NewRenderer(&less, others, xds.Options{Now: now})
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range others {
				if !sameInputs(t, r, without, w) {
					continue
				}
				got, gotErr := render(without, w)
				want, wantErr := render(r, w)
				if (gotErr == nil) != (wantErr == nil) || !bytes.Equal(got, want) {
					t.Fatalf("seed %d: %s has the same inputs without %s, and other resources: %v, %v", seed, w.NodeID(), s.Ref, gotErr, wantErr)
				}
			}
		}
	}
}

func sameInputs(t *testing.T, a, b *xds.Renderer, w *model.Workload) bool {
	t.Helper()
	return slices.EqualFunc(a.Inputs(w), b.Inputs(w), bytes.Equal)
}

// The end of a fault is a change of inputs although nothing in the model is.
func TestTimePassingChangesInputs(t *testing.T) {
	s := &model.Service{Ref: shop("a"), Host: "a", Ports: []model.Port{{Name: "http", Number: 80, Protocol: model.HTTP}},
		Versions: []model.Version{{Name: "v1"}},
		Routes:   []*model.Route{{Name: "r", Ports: []uint16{80}, Abort: &model.Abort{Status: 500, BasisPoints: 1, Until: now}}}}
	m := &model.Mesh{TrustDomain: "td", Services: []*model.Service{s}}
	all := xds.DefaultWorkloads(m)
	at := func(when time.Time) *xds.Renderer {
		r, err := xds.NewRenderer(m, all, xds.Options{Now: when})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	before, same, after := at(now.Add(-time.Hour)), at(now.Add(-time.Minute)), at(now.Add(time.Hour))
	if !sameInputs(t, before, same, all[0]) || sameInputs(t, before, after, all[0]) {
		t.Error("the inputs do not follow the ends of faults")
	}
	if got := before.Until(); !got.Equal(now) {
		t.Errorf("the inputs are said to last until %v", got)
	}
	if got := after.Until(); !got.IsZero() {
		t.Errorf("after the last end they are said to last until %v", got)
	}
}

// Inputs are digests, which panic on what they cannot hold.
func TestModelHasADigest(t *testing.T) {
	if digest.Of(model.Mesh{}, model.Workload{}) == digest.Of(model.Mesh{Name: "x"}, model.Workload{}) {
		t.Error("a name makes no difference")
	}
}
