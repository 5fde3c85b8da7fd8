package reconciler

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/reconciler/discover"
)

// fakePlatform says what it is given.
type fakePlatform chan discover.Update

func (f fakePlatform) Watch(context.Context) <-chan discover.Update { return f }

// TestWhatIsTheSameIsTheSame: workloads that are placed anew are the pointers that
// they were where nothing changed, for each mesh by itself; and an error of the
// platform takes nothing away.
func TestWhatIsTheSameIsTheSame(t *testing.T) {
	at := "10.0.0.1:80"
	place := func(m *model.Mesh) ([]*model.Workload, []string) {
		return []*model.Workload{{ID: "a", Version: m.Name}, {ID: "b", Inbound: map[uint16]string{80: at}}}, []string{"c is odd"}
	}
	from := make(fakePlatform, 1)
	from <- discover.Update{Place: place}
	d := Discover(t.Context(), from, slog.New(slog.DiscardHandler))
	old, fresh := &model.Mesh{Name: "old"}, &model.Mesh{Name: "new"}
	first, other := d.List(old), d.List(fresh)
	if !slices.Equal(first, d.List(old)) || first[0].Version != "old" || other[0].Version != "new" {
		t.Fatalf("%v, %v", first[0], other[0])
	}
	next := func(u discover.Update) {
		changed := d.Changed()
		from <- u
		<-changed
	}
	next(discover.Update{Place: place})
	if !slices.Equal(first, d.List(old)) {
		t.Error("nothing changed, and the workloads are others")
	}
	at = "10.0.0.2:80"
	next(discover.Update{Place: place, Err: errors.New("pods: forbidden")})
	if got := d.List(old); got[0] != first[0] || got[1] == first[1] || got[1].Inbound[80] != at {
		t.Errorf("%v of %v", got, first)
	}
	if got := d.Faults(old); !slices.Equal(got, []string{"the last good workloads serve: pods: forbidden", "c is odd"}) {
		t.Errorf("faults %q", got)
	}
	next(discover.Update{Workloads: first})
	next(discover.Update{Err: errors.New("the file is gone")})
	if got := d.List(old); !slices.Equal(got, first) {
		t.Errorf("after an error: %v", got)
	}
	close(from)
}
