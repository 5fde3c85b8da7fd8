package api_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/meshc/meshc/reconciler/api"
)

// TestTheInventoryForgetsNothing: whatever a controller begins, ends or begins
// again, each manifest whose objects may be there is in the inventory, once, and
// what is retired neither serves nor is about to.
func TestTheInventoryForgetsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var i api.Inventory
		known := map[string]bool{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			g := api.Generation{Manifest: fmt.Sprint("m", rapid.IntRange(0, 6).Draw(t, "manifest")), Commit: fmt.Sprint("c", rapid.IntRange(0, 9).Draw(t, "commit"))}
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				i.Expect(g)
				known[g.Manifest] = true
				if i.Pending == nil || *i.Pending != g {
					t.Fatalf("expected %v: %+v", g, i)
				}
			case 1:
				i.Expect(g)
				i.SwitchTo(g)
				known[g.Manifest] = true
			case 2:
				if i.Pending != nil {
					g = *i.Pending
					i.SwitchTo(g)
					i.SwitchTo(g)
					if *i.Serving != g || i.Pending != nil {
						t.Fatalf("switched to %v: %+v", g, i)
					}
				}
			case 3: // its objects have been deleted
				for _, m := range i.Retired {
					delete(known, m)
				}
				i.Retired = nil
			}
			check(t, &i, known)
		}
	})
}

func check(t *rapid.T, i *api.Inventory, known map[string]bool) {
	stays := map[string]bool{}
	for _, g := range []*api.Generation{i.Serving, i.Previous, i.Pending} {
		if g != nil {
			stays[g.Manifest] = true
		}
	}
	for m := range known {
		if !stays[m] && !slices.Contains(i.Retired, m) {
			t.Fatalf("%s is forgotten: %+v", m, i)
		}
	}
	for n, m := range i.Retired {
		if stays[m] || slices.Contains(i.Retired[:n], m) {
			t.Fatalf("%s is retired and stays, or is twice: %+v", m, i)
		}
	}
	if i.Serving != nil && i.Previous != nil && i.Serving.Manifest == i.Previous.Manifest {
		t.Fatalf("previous is what serves: %+v", i)
	}
}
