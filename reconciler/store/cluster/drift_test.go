package cluster_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/reconciler/api"
	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/reconciler/store"
	"github.com/meshc/meshc/reconciler/store/storetest"
	"github.com/meshc/meshc/test/apiserver"
)

// large is a generation with a service that takes several objects.
func large(commit string) *store.Generation {
	g := storetest.Generation(commit, "a", "b")
	for i := range 3_000 {
		g.Mesh.Services[0].Routes = append(g.Mesh.Services[0].Routes, &model.Route{Name: fmt.Sprint("r", i), Timeout: time.Second,
			Split: []model.Split{{Version: "v1", BasisPoints: 10_000}}})
	}
	return g
}

// heals runs Heal until the test ends.
func (x *writer) heals(t *testing.T) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- x.Heal(t.Context()) }()
	t.Cleanup(func() { x.stop(); <-done })
}

// TestDriftInAPartIsHealed: what is too large for one object has parts, each of which
// is as it was again after somebody changes it, and a commit is not taken for written
// while a part is not.
func TestDriftInAPartIsHealed(t *testing.T) {
	w := newWorld(t)
	x := w.mustOpen("one")
	must(t, x.Save(large("1")))
	must(t, x.SaveStatus(&status.Status{Repository: "/r"}))
	serves := func() bool {
		_, err := x.cache.Serving()
		return err == nil
	}
	w.until("all is there", serves)
	i := slices.IndexFunc(w.objects(), func(n string) bool { return strings.Contains(n, "service.default.a.") && strings.HasSuffix(n, ".1") })
	if i < 0 {
		t.Fatalf("no second part among %v", w.objects())
	}
	name := w.objects()[i]
	chunk := func() string {
		u, err := w.configs().Get(t.Context(), name, metav1.GetOptions{})
		must(t, err)
		c, err := api.FromUnstructured[api.ServiceConfig](u)
		must(t, err)
		return c.Spec.Chunk
	}
	was := chunk()
	patch := func() {
		t.Helper()
		_, err := w.configs().Patch(t.Context(), name, types.MergePatchType, []byte(`{"spec":{"chunk":"x"}}`), metav1.PatchOptions{FieldManager: "kubectl-edit"})
		must(t, err)
		w.until("the watch to tell", func() bool { return !serves() })
	}
	patch()
	must(t, x.Save(large("1"))) // as after a restart, or a commit that changes something else
	if chunk() != was {
		t.Error("saved with a part that somebody changed")
	}
	w.until("all is there", serves)
	x.heals(t)
	w.until("Heal has looked", serves)
	_, err := w.configs().Patch(t.Context(), name, types.MergePatchType, []byte(`{"spec":{"chunk":"y"}}`), metav1.PatchOptions{FieldManager: "kubectl-edit"})
	must(t, err)
	w.until("the part is as it was", func() bool { return chunk() == was && serves() })
	w.until("the condition names who it was", func() bool {
		return slices.ContainsFunc(w.mesh().Status.Conditions, func(c status.Condition) bool {
			return c.Type == status.Drifted && c.Reason == "Healed" && strings.Contains(c.Message, name+" was changed by kubectl-edit (spec.chunk)")
		})
	})
}

// TestAPendingManifestThatNeverCame: a controller that noted what it would write and
// died before it wrote anything keeps nobody from deleting what serves no more.
func TestAPendingManifestThatNeverCame(t *testing.T) {
	w := newWorld(t)
	x := w.mustOpen("one")
	for i, services := range [][]string{{"a"}, {"b"}} {
		must(t, x.Save(storetest.Generation(fmt.Sprint(i), services...)))
	}
	x.stop()
	m := w.mesh()
	m.Status.Inventory.Pending = &api.Generation{Commit: "never", Manifest: "shop.manifest.0123456789abcdef", Objects: 1}
	u, err := api.ToUnstructured(m)
	must(t, err)
	_, err = w.meshes().UpdateStatus(t.Context(), u, metav1.UpdateOptions{})
	must(t, err)
	// What only the label names, as a controller that was replaced writes it late.
	late, err := w.configs().Get(t.Context(), w.objects()[0], metav1.GetOptions{})
	must(t, err)
	late.SetName("late" + late.GetName()[strings.LastIndexByte(late.GetName(), '.'):])
	late.SetResourceVersion("")
	late.SetUID("")
	_, err = w.configs().Create(t.Context(), late, metav1.CreateOptions{})
	must(t, err)

	y := w.mustOpen("two")
	if _, err := y.Load(); err != nil {
		t.Fatal(err)
	}
	y.heals(t)
	w.until("it is deleted", func() bool { return !slices.Contains(w.objects(), late.GetName()) })
	must(t, y.Save(storetest.Generation("2", "b")))
	w.until("the inventory forgets it", func() bool {
		return w.mesh().Status.Inventory.Pending == nil && len(w.mesh().Status.Inventory.Retired) == 0
	})
}

// TestSavedRightAfterItWasDeleted: what was deleted a moment ago, of which the watch
// has not told, is not taken for being there when a commit brings it back.
func TestSavedRightAfterItWasDeleted(t *testing.T) {
	w := newWorld(t)
	x := w.mustOpen("one")
	for i := range 12 {
		// Each third commit brings back what the second before it had deleted.
		must(t, x.Save(storetest.Generation(fmt.Sprint(i), []string{"a", "b", "c"}[i%3])))
		inventory := w.mesh().Status.Inventory
		if got := len(w.objects()); got < inventory.Serving.Objects {
			t.Fatalf("commit %d serves with %d of %d objects: %v", i, got, inventory.Serving.Objects, w.objects())
		}
		if !slices.ContainsFunc(w.objects(), func(n string) bool { return strings.Contains(n, "service.default."+[]string{"a", "b", "c"}[i%3]+".") }) {
			t.Fatalf("commit %d serves without its service: %v", i, w.objects())
		}
	}
}

// TestWritesThatFailAreNoFight: an API server that does not take a heal is asked again,
// and nobody is said to fight.
func TestWritesThatFailAreNoFight(t *testing.T) {
	w := newWorld(t)
	x := w.faulty(patience)
	must(t, x.Save(storetest.Generation("1", "a")))
	must(t, x.SaveStatus(&status.Status{Repository: "/r"}))
	x.heals(t)
	w.until("all is there", func() bool { _, err := x.cache.Serving(); return err == nil })
	var refused atomic.Int32
	x.proxy.Do(func(r *http.Request) *apiserver.Fault {
		if !method("PATCH", "serviceconfigs")(r) {
			return nil
		}
		refused.Add(1)
		return &apiserver.Fault{Status: 500}
	})
	name := w.objects()[slices.IndexFunc(w.objects(), func(n string) bool { return strings.Contains(n, "service.default.a.") })]
	for n := 0; refused.Load() < 12; n++ { // twice as many as a fight takes
		_, err := w.configs().Patch(t.Context(), name, types.MergePatchType, fmt.Appendf(nil, `{"spec":{"config":{"service":{"Owner":"%d"}}}}`, n), metav1.PatchOptions{FieldManager: "rival"})
		must(t, err)
		time.Sleep(20 * time.Millisecond)
		if n > 1000 {
			t.Fatalf("%d heals were tried", refused.Load())
		}
	}
	if c := w.drifted(); c.Reason == "Fighting" {
		t.Errorf("%+v", c)
	}
	x.proxy.Do(nil)
	w.until("it is healed", func() bool {
		if c := w.drifted(); c.Reason == "Fighting" {
			t.Fatalf("%+v", c)
		}
		return w.drifted().Reason == "Healed"
	})
}
