package apiserver

import (
	"context"
	"io/fs"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/meshc/meshc/deploy/crds"
)

var (
	definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	namespaces  = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
)

// Client is a client of a user.
func (s *Server) Client(t testing.TB, user string) *dynamic.DynamicClient {
	t.Helper()
	c, err := dynamic.NewForConfig(s.Config(user))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Install brings the definitions of deploy/crds to the server and waits until it
// serves them. It may be called again.
func (s *Server) Install(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), readyTime)
	defer cancel()
	admin := s.Client(t, Admin).Resource(definitions)
	files, err := fs.Glob(crds.Files, "*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no definitions: %v", err)
	}
	for _, file := range files {
		data, err := crds.Files.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		u := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict(data, &u.Object); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if _, err := admin.Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: "install", Force: true}); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for !established(ctx, t, admin, u.GetName()) {
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// established says whether a definition is served. What the server does not like
// of one, it says in conditions.
func established(ctx context.Context, t testing.TB, c dynamic.ResourceInterface, name string) bool {
	t.Helper()
	u, err := c.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	served := false
	for _, c := range conditions {
		m, _ := c.(map[string]any)
		if m["type"] == "NonStructuralSchema" && m["status"] == "True" {
			t.Fatalf("%s: %v", name, m["message"])
		}
		served = served || m["type"] == "Established" && m["status"] == "True"
	}
	return served
}

// Namespace makes a namespace for a test. It is not deleted: nothing would finish
// that here.
func (s *Server) Namespace(t testing.TB) string {
	t.Helper()
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"generateName": "test-"},
	}}
	for {
		got, err := s.Client(t, Admin).Resource(namespaces).Create(t.Context(), u, metav1.CreateOptions{})
		if err == nil {
			return got.GetName()
		}
		if !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
}
