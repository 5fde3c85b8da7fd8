package cluster_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/meshc/meshc/reconciler/store/storetest"
)

// TestADefinitionThatIsRemoved takes every ServiceConfig with it: nothing new is
// saved, and when it is back what serves is as it was.
func TestADefinitionThatIsRemoved(t *testing.T) {
	w := newWorld(t)
	x := w.mustOpen("one")
	must(t, x.Save(storetest.Generation("1", "a", "b")))
	serves := func() bool {
		_, err := x.cache.Serving()
		return err == nil
	}
	w.until("all is there", serves)
	definitions := w.admin.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	must(t, definitions.Delete(t.Context(), "serviceconfigs.meshc.dev", metav1.DeleteOptions{}))
	w.until("the definition is gone", func() bool {
		_, err := definitions.Get(t.Context(), "serviceconfigs.meshc.dev", metav1.GetOptions{})
		return err != nil
	})
	if err := x.Save(storetest.Generation("2", "c")); err == nil {
		t.Error("saved without a definition")
	}
	if i := w.mesh().Status.Inventory; i.Serving.Commit != "1" {
		t.Errorf("inventory %+v", i)
	}
	w.server.Install(t)
	x.heals(t)
	w.until("what serves is there again", func() bool { return serves() && len(w.objects()) >= 4 })
	must(t, x.Save(storetest.Generation("2", "c")))
	w.until("and the next commit", func() bool {
		g, err := x.cache.Serving()
		return err == nil && g.Commit == "2"
	})
}
