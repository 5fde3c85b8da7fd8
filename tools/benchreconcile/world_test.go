package benchreconcile

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/deploy/rbac"
	"github.com/meshc/meshc/reconciler/api"
	"github.com/meshc/meshc/test/apiserver"
	"github.com/meshc/meshc/test/loopback"
)

// world is a Mesh in a cluster, its repository, and one controller.
type world struct {
	t          *testing.T
	server     *apiserver.Server
	admin      *dynamic.DynamicClient
	namespace  string
	repo       *repo
	dir        string
	ads        string
	hook       string
	authority  *authority
	controller *program
	watch      watch.Interface
	mesh       *api.Mesh // as it was seen last
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s := apiserver.Start(t)
	s.Install(t)
	w := &world{t: t, server: s, admin: s.Client(t, apiserver.Admin), namespace: s.Namespace(t), repo: newRepo(t), dir: t.TempDir(),
		ads: loopback.Address(t), hook: loopback.Address(t), authority: newAuthority(t)}
	version := schema.GroupVersion{Group: "rbac.authorization.k8s.io", Version: "v1"}
	role := &unstructured.Unstructured{}
	must(t, yaml.Unmarshal(rbac.Controller, &role.Object))
	w.create(version.WithResource("roles"), role)
	binding := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": version.String(), "kind": "RoleBinding",
		"roleRef":  map[string]any{"apiGroup": version.Group, "kind": "Role", "name": role.GetName()},
		"subjects": []any{map[string]any{"apiGroup": version.Group, "kind": "User", "name": apiserver.Meshc}},
	}}
	binding.SetName("meshc-controller")
	w.create(version.WithResource("rolebindings"), binding)
	must(t, os.WriteFile(w.at("secret"), []byte(secret), 0o600))
	return w
}

func (w *world) create(r schema.GroupVersionResource, u *unstructured.Unstructured) {
	w.t.Helper()
	_, err := w.admin.Resource(r).Namespace(w.namespace).Create(w.t.Context(), u, metav1.CreateOptions{})
	must(w.t, err)
}

func (w *world) at(name string) string { return filepath.Join(w.dir, name) }

// secret is that of the forge.
const secret = "a secret of the forge"

// start runs the controller, by way of host ("": the API server itself), and makes the
// Mesh that it is to follow.
func (w *world) start(host, trustDomain string, interval time.Duration, workloads []*model.Workload) {
	w.t.Helper()
	data, err := json.Marshal(map[string]any{"workloads": slices.Concat([]*model.Workload{}, workloads)})
	must(w.t, err)
	must(w.t, os.WriteFile(w.at("workloads.json"), data, 0o600))
	args := []string{"--mesh", w.namespace + "/bench", "--kubeconfig", w.server.Kubeconfig(w.t, apiserver.Meshc, host), "--identity", "one",
		"--ca-dir", w.at("ca"), "--ads-address", w.ads, "--ca-address", "127.0.0.1:0", "--workloads", w.at("workloads.json"), "--trust-domain", trustDomain,
		"--webhook-address", w.hook, "--webhook-secret-file", w.at("secret")}
	if trustDomain == domain {
		args = append(args, "--ca-issuer-dir", w.authority.dir)
	}
	w.controller = launch(w.t, args...)
	m := &api.Mesh{Spec: api.MeshSpec{Repository: w.repo.url, Path: "prod", Interval: metav1.Duration{Duration: interval}}}
	m.APIVersion, m.Kind, m.Name = api.GroupVersion.String(), api.MeshKind, "bench"
	u, err := api.ToUnstructured(m)
	must(w.t, err)
	w.create(api.Meshes, u)
}

// pushed is the call of a forge.
func (w *world) pushed() {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, "http://"+w.hook+"/", strings.NewReader("{}"))
		must(w.t, err)
		req.Header.Set("X-Gitlab-Token", secret)
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusAccepted {
				return
			}
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("the webhook: %v %v", resp, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// until waits, by a watch, for a status that holds.
func (w *world) until(what string, holds func(*api.MeshStatus) bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	for w.mesh == nil || !holds(&w.mesh.Status) {
		if w.watch == nil {
			var err error
			w.watch, err = w.admin.Resource(api.Meshes).Namespace(w.namespace).Watch(w.t.Context(), metav1.ListOptions{
				FieldSelector: fields.OneTermEqualSelector("metadata.name", "bench").String()})
			must(w.t, err)
			w.t.Cleanup(w.watch.Stop)
		}
		select {
		case e, open := <-w.watch.ResultChan():
			u, ok := e.Object.(*unstructured.Unstructured)
			if !open || !ok {
				w.watch.Stop()
				w.watch = nil // and begin anew
				continue
			}
			var err error
			w.mesh, err = api.FromUnstructured[api.Mesh](u)
			must(w.t, err)
		case <-ctx.Done():
			text, _ := json.MarshalIndent(w.mesh, "", "  ")
			w.t.Fatalf("%s: not within %s: %.4000s", what, patience, text)
		}
	}
}

func (w *world) untilServing(commit string) {
	w.t.Helper()
	w.until("serving "+commit, func(s *api.MeshStatus) bool {
		return s.Inventory.Serving != nil && s.Inventory.Serving.Commit == commit && s.Serving != nil && s.Serving.Commit == commit
	})
}

// untilProgrammed waits until a commit is on all of so many proxies.
func (w *world) untilProgrammed(commit string, proxies int) {
	w.t.Helper()
	w.until(commit+" on every proxy", func(s *api.MeshStatus) bool {
		return s.Programmed.Commit == commit && s.Programmed.Done == proxies && s.Programmed.Total == proxies
	})
}

// compile reads the mesh of the work tree.
func (w *world) compile() *model.Mesh {
	w.t.Helper()
	out, err := compiler.Compile(w.t.Context(), os.DirFS(filepath.Join(w.repo.dir, "prod")), compiler.Options{Now: time.Now()})
	must(w.t, err)
	if out.Model == nil {
		w.t.Fatalf("the mesh does not compile: %v", out.Diags)
	}
	return out.Model
}

// spread is how long things took.
type spread []time.Duration

func (s spread) at(percent int) time.Duration {
	sorted := slices.Sorted(slices.Values(s))
	return sorted[min(len(sorted)-1, len(sorted)*percent/100)]
}

// tell gives the median, the 99th percentile and the longest.
func (s spread) tell(what, goal string) {
	row("", "%s", what+": median", s.at(50).Round(time.Millisecond))
	row(goal, "%s", what+fmt.Sprintf(": p99 of %d", len(s)), s.at(99).Round(time.Millisecond))
}
