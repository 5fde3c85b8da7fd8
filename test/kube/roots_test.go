package kube

import (
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/meshc/meshc/compiler/emit/kube"
	"github.com/meshc/meshc/deploy/rbac"
)

var configMaps = corev1.SchemeGroupVersion.WithResource("configmaps")

// injected has pods of a namespace injected, or no more.
func (w *world) injected(namespace, value string) {
	w.t.Helper()
	_, err := w.admin.Resource(namespaces).Patch(w.t.Context(), namespace, types.MergePatchType, []byte(`{"metadata":{"labels":{"meshc.dev/inject":`+value+`}}}`), metav1.PatchOptions{})
	must(w.t, err)
}

// another makes one more namespace.
func (w *world) another(name string) string {
	w.t.Helper()
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace"}}
	u.SetName(w.namespace + "-" + name)
	_, err := w.admin.Resource(namespaces).Create(w.t.Context(), u, metav1.CreateOptions{})
	must(w.t, err)
	return u.GetName()
}

// rootsIn waits for what is in the ConfigMap of a namespace.
func (w *world) rootsIn(namespace, want string) {
	w.t.Helper()
	var got string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		u, err := w.admin.Resource(configMaps).Namespace(namespace).Get(w.t.Context(), kube.DefaultRootMap, metav1.GetOptions{})
		if err == nil {
			got, _, _ = unstructured.NestedString(u.Object, "data", kube.RootFile)
		}
		if err == nil && got == want {
			return
		}
	}
	w.t.Fatalf("in %s: %q, want %q", namespace, got, want)
}

// TestRootsArePublished: injected pods find the roots of the authority in their
// namespace, whatever becomes of the ConfigMap; where nobody is injected there is
// none, and one that somebody else made stays as it is.
func TestRootsArePublished(t *testing.T) {
	w := newWorld(t)
	w.grant(rbac.Roots)
	other, theirs := w.another("other"), w.another("theirs")
	mine := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "data": map[string]any{kube.RootFile: "mine"}}}
	mine.SetName(kube.DefaultRootMap)
	_, err := w.admin.Resource(configMaps).Namespace(theirs).Create(t.Context(), mine, metav1.CreateOptions{})
	must(t, err)
	w.injected(theirs, `"enabled"`)
	w.injected(w.namespace, `"enabled"`)
	w.follow(nil)
	w.repo.mesh("100", "0")
	w.controller = w.replica("one", "", "--ca-root-out", w.at("roots.pem"), "--publish-roots")

	var roots []byte
	for deadline := time.Now().Add(patience); len(roots) == 0 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		roots, _ = os.ReadFile(w.at("roots.pem"))
	}
	w.rootsIn(w.namespace, string(roots))
	must(t, w.admin.Resource(configMaps).Namespace(w.namespace).Delete(t.Context(), kube.DefaultRootMap, metav1.DeleteOptions{}))
	w.rootsIn(w.namespace, string(roots))
	_, err = w.admin.Resource(configMaps).Namespace(w.namespace).Patch(t.Context(), kube.DefaultRootMap, types.MergePatchType, []byte(`{"data":{"root.pem":"evil"}}`), metav1.PatchOptions{FieldManager: "somebody"})
	must(t, err)
	w.rootsIn(w.namespace, string(roots))
	if _, err := w.admin.Resource(configMaps).Namespace(other).Get(t.Context(), kube.DefaultRootMap, metav1.GetOptions{}); err == nil {
		t.Errorf("there are roots in %s, where nobody is injected", other)
	}
	w.injected(other, `"enabled"`)
	w.rootsIn(other, string(roots))
	w.rootsIn(theirs, "mine")
}
