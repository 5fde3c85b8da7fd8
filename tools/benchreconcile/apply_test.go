package benchreconcile

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/meshc/meshc/reconciler/api"
	"github.com/meshc/meshc/test/apiserver"
	"github.com/meshc/meshc/testdata/genmesh/gen"
)

// counter counts requests to the API server by what they are about.
type counter struct {
	mu sync.Mutex
	of map[string]int
}

func (c *counter) count(r *http.Request) *apiserver.Fault {
	kind := "other"
	for _, k := range []string{"serviceconfigs", "meshes", "meshes/status", "leases"} {
		if apiserver.Of(r, k) {
			kind = k
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if apiserver.IsWatch(r) {
		kind = "watches"
	}
	c.of[kind]++
	return nil
}

// take gives the counts since it was last called.
func (c *counter) take() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.of
	c.of = map[string]int{}
	return out
}

// TestApply: what the first commit costs, what nothing costs, and how fast others'
// changes are undone. No proxy is connected.
func TestApply(t *testing.T) {
	s := sizes()
	w := newWorld(t)
	must(t, gen.Large(gen.LargeOptions{Services: s.objects, PerDir: 20, Routes: 3, Seed: 1}, func(name, content string) error {
		return w.repo.write("prod/"+name, content)
	}))
	must(t, w.repo.write("README.md", "a mesh\n"))
	commit := w.repo.commit()
	counts := &counter{of: map[string]int{}}
	p := w.server.Proxy(t)
	p.Do(counts.count)

	begin := time.Now()
	w.start(p.URL, "large.example", time.Second, nil)
	stop := w.controller.watchTree()
	w.untilServing(commit)
	took, tree := time.Since(begin), stop()
	record.Say("-- first apply of %d services: clone, compile and one object each, from the start of the process", s.objects)
	row("<= 50 s", "%.1f s", "until it serves", took.Seconds())
	row("<= 200 MiB", "%d MiB", "RSS of the controller: most", w.controller.resident(t, "VmHWM")>>20)
	row("", "%d MiB", "RSS with the child that reads CUE: most", tree>>20)
	writes := counts.take()
	row("", "%.2f", "requests about each object", float64(writes["serviceconfigs"])/float64(s.objects))

	t.Run("nothing", func(t *testing.T) { w.nothing(t, counts, s.quiet) })
	t.Run("elsewhere", func(t *testing.T) { w.elsewhere(t, counts) })
	t.Run("drift", func(t *testing.T) { w.drift(t, s.drifts) })
}

// nothing counts what passes cost that find nothing to do: the repository is asked
// every second.
func (w *world) nothing(t *testing.T, counts *counter, quiet time.Duration) {
	w.until("everything to be told", func(s *api.MeshStatus) bool { return s.Inventory.Pending == nil && s.Inventory.Retired == nil })
	time.Sleep(2 * time.Second) // what was under way
	counts.take()
	w.repo.requests()
	time.Sleep(quiet)
	got, looks := counts.take(), 0
	for _, r := range w.repo.requests() {
		if strings.HasPrefix(r, "GET /info/refs") {
			looks++
		}
	}
	if looks == 0 {
		t.Fatal("the repository was not asked")
	}
	record.Say("-- %d passes that find nothing to do, in %s: %v", looks, quiet, got)
	row("0", "%d", "requests about objects", got["serviceconfigs"])
	if got["serviceconfigs"] != 0 {
		t.Errorf("requests %v", got)
	}
}

// elsewhere has commits come that touch no file of the mesh.
func (w *world) elsewhere(t *testing.T, counts *counter) {
	counts.take()
	w.repo.requests()
	stop := w.controller.watchTree()
	before := w.controller.resident(t, "VmRSS")
	must(t, w.repo.write("README.md", "a mesh, and more\n"))
	commit := w.repo.commit()
	begin := time.Now()
	w.pushed()
	w.untilServing(commit)
	took := time.Since(begin)
	grew := stop() - before
	asked, requests := w.repo.requests(), counts.take()
	record.Say("-- a commit that touches no file of the mesh: Git %v, API %v", asked, requests)
	row("", "%s", "until it serves", took.Round(time.Millisecond))
	row("", "%d MiB", "memory of the controller and its children: growth", grew>>20)
	row("0", "%d", "requests about objects", requests["serviceconfigs"])
}

// drift has others change objects, and waits until each is as it was.
func (w *world) drift(t *testing.T, n int) {
	configs := w.admin.Resource(api.ServiceConfigs).Namespace(w.namespace)
	list, err := configs.List(t.Context(), metav1.ListOptions{})
	must(t, err)
	var took spread
	for _, u := range list.Items {
		if !strings.Contains(u.GetName(), ".svc-") || len(took) == n {
			continue
		}
		took = append(took, w.heal(t, u.GetName(), len(took)))
	}
	record.Say("-- an object is changed by others, %d times", len(took))
	took.tell("until it is as it was", "<= 2 s")
}

// heal changes or deletes one object.
func (w *world) heal(t *testing.T, name string, i int) time.Duration {
	t.Helper()
	configs := w.admin.Resource(api.ServiceConfigs).Namespace(w.namespace)
	one := metav1.ListOptions{FieldSelector: "metadata.name=" + name}
	list, err := configs.List(t.Context(), one)
	must(t, err)
	if len(list.Items) != 1 {
		t.Fatalf("%d objects are called %s", len(list.Items), name)
	}
	before := &list.Items[0]
	one.ResourceVersion = list.GetResourceVersion() // that of the object is too old to watch from
	watching, err := configs.Watch(t.Context(), one)
	must(t, err)
	defer watching.Stop()
	begin := time.Now()
	if i%4 == 3 {
		err = configs.Delete(t.Context(), name, metav1.DeleteOptions{})
	} else {
		_, err = configs.Patch(t.Context(), name, types.MergePatchType, []byte(`{"spec":{"config":{"service":{"Owner":"somebody else"}}}}`),
			metav1.PatchOptions{FieldManager: "kubectl-edit"})
	}
	must(t, err)
	wrong := false
	for {
		select {
		case e := <-watching.ResultChan():
			u, ok := e.Object.(*unstructured.Unstructured)
			if !ok {
				t.Fatalf("the watch of %s ended: %v", name, e)
			}
			same := e.Type != "DELETED" && fmt.Sprint(u.Object["spec"]) == fmt.Sprint(before.Object["spec"])
			if wrong = wrong || !same; wrong && same {
				return time.Since(begin)
			}
		case <-time.After(patience):
			t.Fatalf("%s is not healed", name)
		}
	}
}
