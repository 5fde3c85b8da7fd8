package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/meshc/meshc/reconciler/api"
	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/reconciler/store"
	"github.com/meshc/meshc/reconciler/store/cluster"
	"github.com/meshc/meshc/reconciler/store/storetest"
	"github.com/meshc/meshc/test/apiserver"
)

func TestMain(m *testing.M) { os.Exit(apiserver.Run(m)) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// patience bounds every wait.
const patience = 30 * time.Second

// world is a Mesh in a namespace of its own.
type world struct {
	t         *testing.T
	server    *apiserver.Server
	admin     *dynamic.DynamicClient
	namespace string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s := apiserver.Start(t)
	s.Install(t)
	w := &world{t: t, server: s, admin: s.Client(t, apiserver.Admin), namespace: s.Namespace(t)}
	m := &api.Mesh{Spec: api.MeshSpec{Repository: "https://git.example.com/mesh.git"}}
	m.APIVersion, m.Kind, m.Name, m.Namespace = api.GroupVersion.String(), api.MeshKind, "shop", w.namespace
	u, err := api.ToUnstructured(m)
	must(t, err)
	_, err = w.meshes().Create(t.Context(), u, metav1.CreateOptions{})
	must(t, err)
	return w
}

func (w *world) meshes() dynamic.ResourceInterface {
	return w.admin.Resource(api.Meshes).Namespace(w.namespace)
}

func (w *world) configs() dynamic.ResourceInterface {
	return w.admin.Resource(api.ServiceConfigs).Namespace(w.namespace)
}

func (w *world) mesh() *api.Mesh {
	w.t.Helper()
	u, err := w.meshes().Get(w.t.Context(), "shop", metav1.GetOptions{})
	must(w.t, err)
	m, err := api.FromUnstructured[api.Mesh](u)
	must(w.t, err)
	return m
}

// objects are the names of all ServiceConfigs, by the API server and not by a
// cache.
func (w *world) objects() []string {
	w.t.Helper()
	list, err := w.configs().List(w.t.Context(), metav1.ListOptions{})
	must(w.t, err)
	var out []string
	for _, u := range list.Items {
		out = append(out, u.GetName())
	}
	return out
}

// writer is one term of a controller.
type writer struct {
	*cluster.Store
	cache *cluster.Cache
	stop  func()
}

// open begins a term with a client of its own.
func (w *world) open(identity string, config *rest.Config) (*writer, error) {
	w.t.Helper()
	client, err := dynamic.NewForConfig(config)
	must(w.t, err)
	cache, err := cluster.NewCache(client, w.namespace, "shop")
	must(w.t, err)
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); cache.Run(ctx) }()
	x := &writer{cache: cache, stop: func() { cancel(); <-done }}
	w.t.Cleanup(x.stop)
	must(w.t, cache.Synced(ctx))
	x.Store, err = cluster.Open(ctx, cluster.Options{Client: client, Cache: cache, Namespace: w.namespace, Mesh: "shop", Identity: identity})
	return x, err
}

func (w *world) mustOpen(identity string) *writer {
	w.t.Helper()
	x, err := w.open(identity, w.server.Config(apiserver.Admin))
	must(w.t, err)
	return x
}

func TestClusterKeepsToWhatStoresAre(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Open {
		w := newWorld(t)
		var last *writer
		return func(*testing.T) storetest.Store {
			if last != nil {
				last.stop()
			}
			last = w.mustOpen("one")
			return last
		}
	})
}

// until waits until holds.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			w.t.Fatalf("%s: not within %s; objects %v\nmesh %+v", what, patience, w.objects(), w.mesh().Status)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestOnlyTwoGenerationsAreKept: what neither serves nor served before is deleted,
// and the inventory forgets it.
func TestOnlyTwoGenerationsAreKept(t *testing.T) {
	w := newWorld(t)
	x := w.mustOpen("one")
	for i, services := range [][]string{{"a"}, {"a", "b"}, {"c"}} {
		must(t, x.Save(storetest.Generation(fmt.Sprint("commit", i), services...)))
	}
	heal, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- x.Heal(heal) }()
	// Of the second generation: its manifest, a, b; of the third: its manifest, c;
	// of both: the gateway.
	w.until("two generations", func() bool { return len(w.objects()) == 6 && len(w.mesh().Status.Inventory.Retired) == 0 })
	inventory := w.mesh().Status.Inventory
	if inventory.Pending != nil || inventory.Serving.Commit != "commit2" || inventory.Previous.Commit != "commit1" || inventory.Serving.Objects != 3 {
		t.Errorf("inventory %+v", inventory)
	}
	stop()
	must(t, <-ended)
}

// TestTheOneThatWasReplacedWritesNoMore is the story of two leaders: neither what
// serves nor the report is the old one's any more, and nothing of it is left.
func TestTheOneThatWasReplacedWritesNoMore(t *testing.T) {
	w := newWorld(t)
	old := w.mustOpen("old")
	must(t, old.Save(storetest.Generation("1", "a")))
	next := w.mustOpen("next")
	if got := w.mesh().Status.Inventory; got.Epoch != 2 || got.Holder != "next" {
		t.Errorf("inventory %+v", got)
	}
	if err := old.Save(storetest.Generation("2", "b")); !errors.Is(err, cluster.ErrFenced) || !strings.Contains(err.Error(), "next in epoch 2") {
		t.Errorf("the old one saved: %v", err)
	}
	if err := old.SaveStatus(&status.Status{Repository: "old"}); !errors.Is(err, cluster.ErrFenced) {
		t.Errorf("the old one reported: %v", err)
	}
	if err := old.Heal(t.Context()); !errors.Is(err, cluster.ErrFenced) {
		t.Errorf("the old one heals: %v", err)
	}
	must(t, next.Save(storetest.Generation("3", "c")))
	if g, err := next.Load(); err != nil || g.Commit != "3" {
		t.Errorf("%+v %v", g, err)
	}
}

// TestDriftIsHealed: what others delete or change in what serves is as it was again
// within two seconds, and the condition names who it was and where.
func TestDriftIsHealed(t *testing.T) {
	w := newWorld(t)
	x := w.mustOpen("one")
	must(t, x.Save(storetest.Generation("1", "a", "b")))
	must(t, x.SaveStatus(&status.Status{Repository: "/r"}))
	heal, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- x.Heal(heal) }()
	serves := func() bool {
		_, err := x.cache.Serving()
		return err == nil
	}
	w.until("all is there", serves)
	name := w.objects()[slices.IndexFunc(w.objects(), func(n string) bool { return strings.Contains(n, "service.default.a.") })]
	vandals := map[string]struct {
		act  func() error
		want string
	}{
		"deleted": {func() error { return w.configs().Delete(t.Context(), name, metav1.DeleteOptions{}) }, name + " was deleted"},
		"changed": {func() error {
			patch := []byte(`{"spec":{"config":{"service":{"Owner":"mallory"}}}}`)
			_, err := w.configs().Patch(t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "kubectl-edit"})
			return err
		}, name + " was changed by kubectl-edit (spec.config)"},
		"label": {func() error {
			_, err := w.configs().Patch(t.Context(), name, types.MergePatchType, []byte(`{"metadata":{"labels":null}}`), metav1.PatchOptions{FieldManager: "kubectl-label"})
			return err
		}, name + " was deleted or lost its label"},
	}
	for _, what := range []string{"deleted", "changed", "label"} {
		v := vandals[what]
		began := time.Now()
		must(t, v.act())
		w.until(what, func() bool {
			for _, c := range w.mesh().Status.Conditions {
				if c.Type == status.Drifted && c.Status == status.False && c.Reason == "Healed" && strings.Contains(c.Message, v.want) && !c.LastTransitionTime.IsZero() {
					return serves()
				}
			}
			return false
		})
		t.Logf("%s: healed after %v", what, time.Since(began))
		w.until("it serves", serves)
		u, err := w.configs().Get(t.Context(), name, metav1.GetOptions{})
		must(t, err)
		if owner, _, _ := unstructured.NestedString(u.Object, "spec", "config", "service", "Owner"); owner != "" || u.GetLabels()[api.MeshLabel] != "shop" {
			t.Errorf("%s: the change is still there: %v", what, u.Object)
		}
		must(t, x.Heal(expired()))
	}
	stop()
	must(t, <-ended)
}

// expired is a context that has ended: Heal looks once.
func expired() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// TestWhatOthersMadeIsLeftAlone: an object of another manager at a name that is
// needed is a conflict that names manager and field, and what served before does.
func TestWhatOthersMadeIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	x := w.mustOpen("one")
	must(t, x.Save(storetest.Generation("1", "a")))
	// Where the service b of the next generation will be.
	other := newWorld(t)
	y := other.mustOpen("one")
	must(t, y.Save(storetest.Generation("2", "b")))
	i := slices.IndexFunc(other.objects(), func(n string) bool { return strings.Contains(n, "service.default.b.") })
	u, err := other.configs().Get(t.Context(), other.objects()[i], metav1.GetOptions{})
	must(t, err)
	foreign := &unstructured.Unstructured{Object: map[string]any{"apiVersion": u.GetAPIVersion(), "kind": u.GetKind(), "spec": u.Object["spec"]}}
	foreign.SetName(u.GetName())
	must(t, unstructured.SetNestedField(foreign.Object, "theirs", "spec", "config", "service", "Owner"))
	_, err = w.configs().Create(t.Context(), foreign, metav1.CreateOptions{FieldManager: "argocd-controller"})
	must(t, err)

	err = x.Save(storetest.Generation("2", "b"))
	if err == nil || !strings.Contains(err.Error(), "argocd-controller (spec.config)") || !strings.Contains(err.Error(), u.GetName()) {
		t.Errorf("conflict: %v", err)
	}
	if g, err := x.Load(); err != nil || g.Commit != "1" {
		t.Errorf("what serves: %+v %v", g, err)
	}
	must(t, x.Save(storetest.Generation("3", "a", "c")))
	must(t, x.Heal(expired()))
	got, err := w.configs().Get(t.Context(), u.GetName(), metav1.GetOptions{})
	must(t, err)
	if owner, _, _ := unstructured.NestedString(got.Object, "spec", "config", "service", "Owner"); owner != "theirs" {
		t.Errorf("it was overwritten: %v", got.Object)
	}
}

// TestAMeshMadeAnew: the epoch of a Mesh that was deleted and made anew begins
// again, so the term before it has to end by the identity of the object.
func TestAMeshMadeAnew(t *testing.T) {
	w := newWorld(t)
	x := w.mustOpen("one")
	must(t, x.Save(storetest.Generation("1", "a")))
	m := w.mesh()
	must(t, w.meshes().Delete(t.Context(), "shop", metav1.DeleteOptions{}))
	m.ResourceVersion, m.UID, m.Status = "", "", api.MeshStatus{}
	u, err := api.ToUnstructured(m)
	must(t, err)
	_, err = w.meshes().Create(t.Context(), u, metav1.CreateOptions{})
	must(t, err)
	if err := x.Save(storetest.Generation("2", "b")); !errors.Is(err, cluster.ErrFenced) {
		t.Errorf("saved to another mesh: %v", err)
	}
	next := w.mustOpen("two")
	if _, err := next.Load(); err == nil || errors.Is(err, store.ErrNothing) {
		t.Errorf("what is left of before is not told from a mesh of which nothing ever served: %v", err)
	}
	must(t, next.Save(storetest.Generation("3", "a"))) // what is left of before is taken over
}
