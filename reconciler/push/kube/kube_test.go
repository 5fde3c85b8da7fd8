package kube_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/meshc/meshc/reconciler/push/kube"
	"github.com/meshc/meshc/test/apiserver"
)

func TestMain(m *testing.M) { os.Exit(apiserver.Run(m)) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const label = "meshc.dev/mesh"

var configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}

// bed is a namespace and an applier for it.
type bed struct {
	t       *testing.T
	ns      string
	admin   dynamic.ResourceInterface
	applier *kube.Applier
}

func newBed(t *testing.T) *bed {
	t.Helper()
	s := apiserver.Start(t)
	b := &bed{t: t, ns: s.Namespace(t)}
	client := s.Client(t, apiserver.Admin)
	b.admin = client.Resource(configMaps).Namespace(b.ns)
	b.applier = &kube.Applier{Client: client, Manager: "meshc", Label: label, Value: "shop"}
	return b
}

func (b *bed) object(name string, data map[string]string) kube.Object {
	return kube.Object{Ref: b.ref(name), Content: b.content(name, data).MarshalJSON}
}

func (b *bed) content(name string, data map[string]string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap"}}
	u.SetName(name)
	u.SetLabels(map[string]string{label: "shop"})
	must(b.t, unstructured.SetNestedStringMap(u.Object, data, "data"))
	return u
}

func (b *bed) ref(name string) kube.Ref {
	return kube.Ref{Resource: configMaps, Namespace: b.ns, Name: name}
}

func (b *bed) get(name string) *unstructured.Unstructured {
	b.t.Helper()
	u, err := b.admin.Get(b.t.Context(), name, metav1.GetOptions{})
	must(b.t, err)
	return u
}

func (b *bed) patch(name, manager, text string) {
	b.t.Helper()
	_, err := b.admin.Patch(b.t.Context(), name, types.MergePatchType, []byte(text), metav1.PatchOptions{FieldManager: manager})
	must(b.t, err)
}

// TestOneThatFailsKeepsNoneFromBeingApplied: objects of others and those that the
// server refuses are named, all of them, and the rest is applied.
func TestOneThatFailsKeepsNoneFromBeingApplied(t *testing.T) {
	b := newBed(t)
	theirs := b.content("theirs", map[string]string{"k": "theirs", "l": "theirs"})
	theirs.SetLabels(nil)
	_, err := b.admin.Create(t.Context(), theirs, metav1.CreateOptions{FieldManager: "helm"})
	must(t, err)
	objects := []kube.Object{b.object("Refused", nil), b.object("theirs", map[string]string{"k": "v", "l": "v"})}
	for i := range 30 {
		objects = append(objects, b.object(fmt.Sprint("ours", i), map[string]string{"k": "v"}))
	}
	drifted, err := b.applier.Apply(t.Context(), objects)
	var conflict *kube.ConflictError
	if !errors.As(err, &conflict) || !strings.Contains(err.Error(), "configmaps/Refused: ") || len(drifted) > 0 {
		t.Fatalf("%v, drifted %v", err, drifted)
	}
	want := &kube.ConflictError{Object: b.ref("theirs"), Owners: []kube.Owner{{Manager: "helm", Fields: []string{"data.k", "data.l"}}}}
	if d := cmp.Diff(want, conflict); d != "" {
		t.Error(d)
	}
	if !strings.Contains(err.Error(), "its fields are of helm (data.k, data.l)") {
		t.Errorf("%v", err)
	}
	list, err := b.admin.List(t.Context(), metav1.ListOptions{LabelSelector: label + "=shop"})
	must(t, err)
	if len(list.Items) != 30 {
		t.Errorf("%d of 30 were applied", len(list.Items))
	}
	if d := cmp.Diff(theirs.Object["data"], b.get("theirs").Object["data"]); d != "" {
		t.Errorf("an object of others was changed: %s", d)
	}
}

// TestOursIsTakenBack: on an object that the manager made, others are overwritten
// where they changed what is ours, and nowhere else.
func TestOursIsTakenBack(t *testing.T) {
	b := newBed(t)
	ours := b.object("ours", map[string]string{"k": "v", "l": "v"})
	_, err := b.applier.Apply(t.Context(), []kube.Object{ours})
	must(t, err)
	b.patch("ours", "kubectl-edit", `{"data":{"k":"x","more":"theirs"},"metadata":{"annotations":{"a":"theirs"}}}`)
	drifted, err := b.applier.Apply(t.Context(), []kube.Object{ours})
	must(t, err)
	want := []kube.Drift{{Object: ours.Ref, Owners: []kube.Owner{{Manager: "kubectl-edit", Fields: []string{"data.k"}}}}}
	if d := cmp.Diff(want, drifted); d != "" {
		t.Error(d)
	}
	got := b.get("ours")
	data, _, _ := unstructured.NestedStringMap(got.Object, "data")
	if d := cmp.Diff(map[string]string{"k": "v", "l": "v", "more": "theirs"}, data); d != "" || got.GetAnnotations()["a"] != "theirs" {
		t.Errorf("%s%v", d, got.GetAnnotations())
	}
	version := got.GetResourceVersion()
	if drifted, err = b.applier.Apply(t.Context(), []kube.Object{ours}); err != nil || len(drifted) > 0 || b.get("ours").GetResourceVersion() != version {
		t.Errorf("applied again: %v, drifted %v", err, drifted)
	}
}

// TestPruneDeletesWhatWasMeant: another object of the same name, one without the
// label and one with a finalizer are told apart from what is gone.
func TestPruneDeletesWhatWasMeant(t *testing.T) {
	b := newBed(t)
	names := []string{"plain", "anew", "disowned", "finalized"}
	var objects []kube.Object
	for _, name := range names {
		objects = append(objects, b.object(name, nil))
	}
	_, err := b.applier.Apply(t.Context(), objects)
	must(t, err)
	var targets []kube.Target
	for _, name := range append(names, "never") {
		target := kube.Target{Ref: b.ref(name)}
		if name != "never" {
			target.UID = b.get(name).GetUID()
		}
		targets = append(targets, target)
	}
	must(t, b.admin.Delete(t.Context(), "anew", metav1.DeleteOptions{}))
	_, err = b.applier.Apply(t.Context(), objects[1:2])
	must(t, err)
	b.patch("disowned", "kubectl-label", `{"metadata":{"labels":{"`+label+`":"other"}}}`)
	b.patch("finalized", "somebody", `{"metadata":{"finalizers":["example.com/never"]}}`)
	outcomes, err := b.applier.Prune(t.Context(), targets)
	must(t, err)
	if want := []kube.Outcome{kube.Gone, kube.Gone, kube.Disowned, kube.Terminating, kube.Gone}; !slices.Equal(outcomes, want) {
		t.Errorf("outcomes %v, want %v", outcomes, want)
	}
	list, err := b.admin.List(t.Context(), metav1.ListOptions{})
	must(t, err)
	var left []string
	for _, u := range list.Items {
		left = append(left, u.GetName())
	}
	slices.Sort(left)
	if want := []string{"anew", "disowned", "finalized"}; !slices.Equal(left, want) {
		t.Errorf("left %v, want %v", left, want)
	}
	outcomes, err = b.applier.Prune(t.Context(), targets[3:4])
	if err != nil || outcomes[0] != kube.Terminating {
		t.Errorf("again: %v %v", outcomes, err)
	}
	b.patch("finalized", "somebody", `{"metadata":{"finalizers":null}}`)
	if outcomes, err = b.applier.Prune(t.Context(), targets[3:4]); err != nil || outcomes[0] != kube.Gone {
		t.Errorf("without its finalizer: %v %v", outcomes, err)
	}
}

func TestAnEndedContextLeavesNothingUnsaid(t *testing.T) {
	b := newBed(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	objects := []kube.Object{b.object("a", nil), b.object("b", nil)}
	if _, err := b.applier.Apply(ctx, objects); !errors.Is(err, context.Canceled) {
		t.Errorf("apply: %v", err)
	}
	if _, err := b.applier.Prune(ctx, []kube.Target{{Ref: b.ref("a")}, {Ref: b.ref("b")}}); !errors.Is(err, context.Canceled) {
		t.Errorf("prune: %v", err)
	}
}
