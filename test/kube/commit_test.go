package kube

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/meshc/meshc/deploy/rbac"
	"github.com/meshc/meshc/reconciler/api"
	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/test/apiserver"
	"github.com/meshc/meshc/test/loopback"
)

// TestFromCommitToTraffic is the way of a commit: a repository behind git
// http-backend, the API server, ADS, three proxies, their confirmations and the
// status of the Mesh; and what requests get.
func TestFromCommitToTraffic(t *testing.T) {
	w := newWorld(t)
	first := w.repo.mesh("100", "0")
	w.start("")
	w.follow(nil) // after the controller: it waits for its Mesh
	w.untilServing(first)
	w.proxies()
	s := w.untilProgrammed(first)
	if s.Summary.Programmed != "3/3" || !strings.HasPrefix(first, s.Summary.Serving) || s.ObservedGeneration != 1 {
		t.Errorf("summary %+v of generation %d", s.Summary, s.ObservedGeneration)
	}
	w.wantAnswer("200 api-v1")

	began := time.Now()
	second := w.repo.mesh("0", "100")
	s = w.untilProgrammed(second)
	t.Logf("a commit was on every proxy after %v", time.Since(began))
	kubeconfig := w.server.Kubeconfig(t, apiserver.Admin, "")
	w.wantMeshc(0, second[:12]+" programmed 3/3", kubeconfig, "wait", second, "--mesh", w.namespace+"/shop")
	w.wantMeshc(0, second[:12]+"  programmed 3/3", kubeconfig, "status", "--mesh", w.namespace+"/shop")
	w.wantAnswer("200 api-v2")
	for _, c := range []status.ConditionType{status.Ready, status.Compiled, status.AppliedType, status.OnNodes} {
		if got, _ := s.Condition(c); got.Status != status.True {
			t.Errorf("%s: %+v", c, got)
		}
	}
	for _, c := range []status.ConditionType{status.Reconciling, status.Stalled, status.Drifted} {
		if got, _ := s.Condition(c); got.Status != status.False {
			t.Errorf("%s: %+v", c, got)
		}
	}

	// A commit that does not compile: what serves stays, and the status has its line.
	broken := w.repo.mesh("90", "20")
	s = w.until("the refusal", func(s *api.MeshStatus) bool {
		return s.Attempted != nil && s.Attempted.Commit == broken && s.Attempted.Error != ""
	})
	if d := s.Attempted.Diagnostics; len(d) == 0 || d[0].File != "shop/api.cue" || d[0].Line != 7 || s.Serving.Commit != second || s.Inventory.Serving.Commit != second {
		t.Errorf("diagnostics %+v, serving %+v", d, s.Serving)
	}
	if c, _ := s.Condition(status.Stalled); c.Status != status.True || !strings.Contains(c.Message, "shop/api.cue:7") {
		t.Errorf("%+v", c)
	}
	w.wantAnswer("200 api-v2")
}

// TestWhatServesOutlivesGit kills the controller and takes the repository away: the
// next one serves from the cluster what served, and drift in it is healed.
func TestWhatServesOutlivesGit(t *testing.T) {
	w := newWorld(t)
	w.follow(nil)
	commit := w.repo.mesh("100", "0")
	w.start("")
	w.untilServing(commit)
	w.proxies()
	w.untilProgrammed(commit)
	w.controller.kill()
	w.repo.server.Close()
	w.wantAnswer("200 api-v1") // without a control plane

	w.start("")
	s := w.until("the next term, without Git", func(s *api.MeshStatus) bool {
		c, _ := s.Condition(status.Ready)
		return s.Inventory.Epoch == 2 && c.Reason == "FetchFailed" && s.Programmed.Commit == commit && s.Programmed.Done == 3
	})
	if s.Inventory.Serving.Commit != commit {
		t.Errorf("inventory %+v", s.Inventory)
	}
	configs := w.admin.Resource(api.ServiceConfigs).Namespace(w.namespace)
	name := w.objects()[slices.IndexFunc(w.objects(), func(n string) bool { return strings.Contains(n, ".api.") })]
	_, err := configs.Patch(t.Context(), name, types.MergePatchType, []byte(`{"spec":{"config":{"service":{"Owner":"mallory"}}}}`),
		metav1.PatchOptions{FieldManager: "kubectl-edit"})
	must(t, err)
	w.until("drift to be healed", func(s *api.MeshStatus) bool {
		c, _ := s.Condition(status.Drifted)
		return c.Status == status.False && c.Reason == "Healed" && strings.Contains(c.Message, name+" was changed by kubectl-edit (spec.config)")
	})
	w.wantAnswer("200 api-v1")
}

// TestAnotherSpecification: what a Mesh says counts at once, and what cannot be
// followed is said in its status while what serves stays.
func TestAnotherSpecification(t *testing.T) {
	w := newWorld(t)
	w.follow(nil)
	commit := w.repo.mesh("100", "0")
	w.start("")
	w.untilServing(commit)
	meshes := w.admin.Resource(api.Meshes).Namespace(w.namespace)
	patch := func(text string) {
		_, err := meshes.Patch(t.Context(), "shop", types.MergePatchType, []byte(text), metav1.PatchOptions{})
		must(t, err)
	}
	patch(`{"spec":{"repository":"ssh://git@git.example.com/mesh.git"}}`) // and no key
	s := w.until("the refusal", func(s *api.MeshStatus) bool {
		c, _ := s.Condition(status.Stalled)
		return c.Status == status.True && c.Reason == "InvalidSpec" && s.ObservedGeneration == 2
	})
	if s.Inventory.Serving.Commit != commit {
		t.Errorf("inventory %+v", s.Inventory)
	}
	w.repo.git("checkout", "-q", "-b", "next")
	next := w.repo.mesh("50", "50")
	patch(`{"spec":{"repository":"` + w.repo.url + `","ref":"next"}}`)
	s = w.untilServing(next)
	if s.Ref != "next" || s.ObservedGeneration != 3 {
		t.Errorf("ref %q, generation %d", s.Ref, s.ObservedGeneration)
	}
}

// TestKilledAtWrites kills the controller (kill -9) at writes of its life from the
// first to the last of two commits. The next one brings the cluster to the same
// objects, and none is left over.
func TestKilledAtWrites(t *testing.T) {
	points := []int64{1, 2, 4, 6, 9, 12}
	if soak {
		points = nil
		for n := int64(1); n <= 14; n++ { // two commits are 16 writes
			points = append(points, n)
		}
	}
	var want []string
	for i, at := range points {
		w := newWorld(t)
		w.follow(nil)
		w.repo.mesh("100", "0")
		g := w.guillotine(at, i%2 == 1)
		w.start(g.URL)
		select {
		case <-g.fell:
		case <-w.served():
			w.repo.mesh("0", "100")
			select {
			case <-g.fell:
			case <-time.After(patience):
				t.Fatalf("write %d never came; there were %d", at, g.count.Load())
			}
		}
		commit := w.repo.mesh("0", "100")
		w.start("")
		s := w.untilServing(commit)
		w.until("nothing pending", func(s *api.MeshStatus) bool { return s.Inventory.Pending == nil && len(s.Inventory.Retired) == 0 })
		names := w.serving()
		if want == nil {
			want = names
		}
		if !slices.Equal(names, want) {
			t.Errorf("killed at write %d: serving %v, want %v; inventory %+v", at, names, want, s.Inventory)
		}
		w.controller.kill()
	}
}

// served gives a channel that is closed when something serves.
func (w *world) served() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for w.t.Context().Err() == nil {
			u, err := w.admin.Resource(api.Meshes).Namespace(w.namespace).Get(w.t.Context(), "shop", metav1.GetOptions{})
			if err != nil {
				return
			}
			if m, err := api.FromUnstructured[api.Mesh](u); err != nil || m.Status.Inventory.Serving != nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	return done
}

// serving are the services and gateways of what serves, by its manifest. It fails the
// test if there is an object of no generation.
func (w *world) serving() []string {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		s := w.mesh().Status.Inventory
		previous := 0
		if s.Previous != nil {
			previous = 2 // its manifest and its api; web is in both
		}
		all := w.objects()
		if len(all) == s.Serving.Objects+previous {
			return w.listed(s.Serving.Manifest)
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("objects %v with %+v", all, s)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// listed is what a manifest lists.
func (w *world) listed(manifest string) []string {
	w.t.Helper()
	u, err := w.admin.Resource(api.ServiceConfigs).Namespace(w.namespace).Get(w.t.Context(), manifest, metav1.GetOptions{})
	must(w.t, err)
	configs, _, err := unstructured.NestedSlice(u.Object, "spec", "config", "configs")
	must(w.t, err)
	var out []string
	for _, c := range configs {
		name, _, _ := unstructured.NestedString(c.(map[string]any), "name")
		out = append(out, name)
	}
	return out
}

// TestWhatIsGrantedIsUsed: what the role of the controller grants is what it does, by
// the audit log of the API server.
func TestWhatIsGrantedIsUsed(t *testing.T) {
	w := newWorld(t)
	w.discover()
	w.grant(rbac.Inject)
	w.grant(rbac.Webhook)
	w.grant(rbac.Roots)
	w.injected(w.namespace, `"enabled"`)
	w.asks("meshc-inject", loopback.Localhost(t))
	hook := launch(t, "meshc-controller", "--roles", "inject", "--mesh", w.namespace+"/shop", "--kubeconfig", w.server.Kubeconfig(t, apiserver.Meshc, ""),
		"--inject-address", "127.0.0.1:0")
	w.follow(nil)
	for _, weights := range [][2]string{{"100", "0"}, {"0", "100"}, {"50", "50"}, {"20", "80"}} {
		commit := w.repo.mesh(weights[0], weights[1])
		if w.controller == nil {
			w.start("", "--publish-roots")
		}
		w.untilServing(commit)
	}
	w.until("what served before the last to be deleted", func(s *api.MeshStatus) bool { return len(s.Inventory.Retired) == 0 })

	granted := map[string]bool{}
	for _, text := range [][]byte{rbac.Controller, rbac.Discovery, rbac.Inject, rbac.Webhook, rbac.Roots} {
		var role struct {
			Rules []struct{ APIGroups, Resources, Verbs []string }
		}
		must(t, yaml.Unmarshal(text, &role))
		for _, r := range role.Rules {
			for _, verb := range r.Verbs {
				granted[verb+" "+r.Resources[0]+"."+r.APIGroups[0]] = true
			}
		}
	}
	for deadline := time.Now().Add(patience); w.trusted("meshc-inject") == 0 && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
	}
	hook.kill()
	must(t, w.controller.cmd.Process.Signal(syscall.SIGTERM)) // watches are in the log once they have ended
	<-w.controller.done
	deadline := time.Now().Add(patience)
	used := w.used()
	for !maps.Equal(granted, used) && time.Now().Before(deadline) {
		time.Sleep(50 * time.Millisecond)
		used = w.used()
	}
	if g, u := slices.Sorted(maps.Keys(granted)), slices.Sorted(maps.Keys(used)); !slices.Equal(g, u) {
		t.Errorf("granted %v\nused    %v", g, u)
	}
}

// used is what controllers have done, by the audit log of the API server.
func (w *world) used() map[string]bool {
	t := w.t
	t.Helper()
	used := map[string]bool{}
	for line := range bytes.Lines(w.server.Audit(t)) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // it is being written
		}
		var e struct {
			Verb           string
			User           struct{ Username string }
			ObjectRef      struct{ Resource, Subresource, APIGroup string }
			ResponseStatus struct{ Code int }
		}
		must(t, json.Unmarshal(line, &e))
		if e.User.Username != apiserver.Meshc {
			continue
		}
		resource := e.ObjectRef.Resource
		if e.ObjectRef.Subresource != "" {
			resource += "/" + e.ObjectRef.Subresource
		}
		what := fmt.Sprintf("%s %s.%s", e.Verb, resource, e.ObjectRef.APIGroup)
		if e.ResponseStatus.Code == 403 {
			t.Errorf("forbidden: %s", what)
		}
		used[what] = true
	}
	// Server-side apply that makes an object asks for create beside patch, and has
	// the verb patch in the log.
	for _, what := range []string{"serviceconfigs.meshc.dev", "configmaps."} {
		if used["patch "+what] {
			used["create "+what] = true
		}
	}
	// API servers that cannot stream what there is (before 1.32) are asked for
	// lists.
	for _, what := range []string{"meshes.meshc.dev", "serviceconfigs.meshc.dev", "services.", "pods.", "nodes.", "endpointslices.discovery.k8s.io", "namespaces.", "configmaps.", "leases.coordination.k8s.io"} {
		used["list "+what] = true
	}
	return used
}
