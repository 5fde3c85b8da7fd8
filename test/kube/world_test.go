package kube

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/meshc/meshc/ca"
	emitxds "github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/deploy/rbac"
	"github.com/meshc/meshc/reconciler/api"
	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/test/apiserver"
	"github.com/meshc/meshc/test/loopback"
)

const domain = "cluster.local"

// world is a Mesh in a cluster, its repository, and at most one controller.
type world struct {
	t          *testing.T
	server     *apiserver.Server
	admin      *dynamic.DynamicClient
	namespace  string
	repo       *repo
	dir        string
	ads, ca    string
	workloads  []*model.Workload
	discovers  bool // the controller finds out itself what runs
	controller *program
}

var rbacVersion = schema.GroupVersion{Group: "rbac.authorization.k8s.io", Version: "v1"}

func newWorld(t *testing.T) *world {
	t.Helper()
	s := apiserver.Start(t)
	s.Install(t)
	w := &world{t: t, server: s, admin: s.Client(t, apiserver.Admin), namespace: s.Namespace(t), repo: newRepo(t),
		ads: loopback.Address(t), ca: loopback.Address(t)}
	var err error
	w.dir, err = os.MkdirTemp("", "mk-") // short: the paths of unix sockets are
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(w.dir) })
	role := &unstructured.Unstructured{}
	must(t, yaml.Unmarshal(rbac.Controller, &role.Object))
	w.create(rbacVersion.WithResource("roles"), role)
	binding := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": rbacVersion.String(), "kind": "RoleBinding",
		"roleRef":  map[string]any{"apiGroup": rbacVersion.Group, "kind": "Role", "name": role.GetName()},
		"subjects": []any{map[string]any{"apiGroup": rbacVersion.Group, "kind": "User", "name": apiserver.Meshc}},
	}}
	binding.SetName("meshc-controller")
	w.create(rbacVersion.WithResource("rolebindings"), binding)
	w.writeWorkloads()
	return w
}

func (w *world) create(r schema.GroupVersionResource, u *unstructured.Unstructured) {
	w.t.Helper()
	_, err := w.admin.Resource(r).Namespace(w.namespace).Create(w.t.Context(), u, metav1.CreateOptions{})
	must(w.t, err)
}

// writeWorkloads places web and both versions of api, with applications that answer
// with their names.
func (w *world) writeWorkloads() {
	w.t.Helper()
	place := func(service, version string) {
		name := service + "-" + version
		app := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, name) }))
		w.t.Cleanup(app.Close)
		x := &model.Workload{ID: name, Role: model.RoleSidecar, Service: model.Ref{Namespace: "default", Name: service}, Version: version, Ready: true,
			Inbound: map[uint16]string{8080: loopback.Address(w.t)}, App: map[uint16]string{8080: app.Listener.Addr().String()}}
		if service == "web" {
			x.Outbound = map[string]string{model.OutboundKey(model.Ref{Namespace: "default", Name: "api"}, 8080): loopback.Address(w.t)}
		}
		w.workloads = append(w.workloads, x)
	}
	place("web", "v1")
	place("api", "v1")
	place("api", "v2")
	data, err := json.Marshal(map[string]any{"workloads": w.workloads})
	must(w.t, err)
	must(w.t, os.WriteFile(w.at("workloads.json"), data, 0o600))
}

func (w *world) at(name string) string { return filepath.Join(w.dir, name) }

// follow makes the Mesh.
func (w *world) follow(change func(*api.MeshSpec)) {
	w.t.Helper()
	m := &api.Mesh{Spec: api.MeshSpec{Repository: w.repo.url, Path: "prod", Interval: metav1.Duration{Duration: 50 * time.Millisecond}}}
	if change != nil {
		change(&m.Spec)
	}
	m.APIVersion, m.Kind, m.Name = api.GroupVersion.String(), api.MeshKind, "shop"
	u, err := api.ToUnstructured(m)
	must(w.t, err)
	w.create(api.Meshes, u)
}

// start runs a controller that reaches the API server by way of host ("": itself).
func (w *world) start(host string, args ...string) {
	w.t.Helper()
	w.controller = w.replica("one", host, append([]string{"--ca-dir", w.at("ca"), "--ca-root-out", w.at("roots.pem"), "--ads-address", w.ads, "--ca-address", w.ca}, args...)...)
}

// replica runs one more controller, which has an authority of its own unless args
// say where.
func (w *world) replica(name, host string, args ...string) *program {
	w.t.Helper()
	own := []string{"--mesh", w.namespace + "/shop", "--kubeconfig", w.server.Kubeconfig(w.t, apiserver.Meshc, host), "--identity", name, "--lease", "3s",
		"--ca-dir", w.at("ca-" + name), "--ads-address", "127.0.0.1:0", "--ca-address", "127.0.0.1:0"}
	if !w.discovers {
		own = append(own, "--workloads", w.at("workloads.json"))
	}
	return launch(w.t, "meshc-controller", append(own, args...)...)
}

// mesh is the Mesh as the API server has it.
func (w *world) mesh() *api.Mesh {
	w.t.Helper()
	u, err := w.admin.Resource(api.Meshes).Namespace(w.namespace).Get(w.t.Context(), "shop", metav1.GetOptions{})
	must(w.t, err)
	m, err := api.FromUnstructured[api.Mesh](u)
	must(w.t, err)
	return m
}

// until waits for a status that holds.
func (w *world) until(what string, holds func(*api.MeshStatus) bool) *api.MeshStatus {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		m := w.mesh()
		if holds(&m.Status) {
			return &m.Status
		}
		if time.Now().After(deadline) {
			text, _ := json.MarshalIndent(m.Status, "", "  ")
			w.t.Fatalf("%s: not within %s: %s", what, patience, text)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (w *world) untilServing(commit string) *api.MeshStatus {
	w.t.Helper()
	return w.until("serving "+commit, func(s *api.MeshStatus) bool {
		return s.Inventory.Serving != nil && s.Inventory.Serving.Commit == commit && s.Serving != nil && s.Serving.Commit == commit
	})
}

// untilProgrammed waits until a commit is on all three proxies.
func (w *world) untilProgrammed(commit string) *api.MeshStatus {
	w.t.Helper()
	return w.until(commit+" on every proxy", func(s *api.MeshStatus) bool {
		c, _ := s.Condition(status.Ready)
		return c.Status == status.True && c.ObservedRevision == commit && s.Programmed.Commit == commit && s.Programmed.Done == len(w.workloads)
	})
}

// proxies runs meshc-proxy for each workload.
func (w *world) proxies() {
	w.t.Helper()
	for _, x := range w.workloads {
		launch(w.t, "meshc-proxy", w.proxyArgs(x, w.ads, w.ca)...)
	}
}

// proxyArgs makes what a proxy is started with that reaches the controller at ads
// and at authority.
func (w *world) proxyArgs(x *model.Workload, ads, authority string) []string {
	w.t.Helper()
	tokens, err := ca.OpenTokens(w.at("ca"), domain)
	must(w.t, err)
	dir := w.at(x.ID)
	must(w.t, os.Mkdir(dir, 0o700))
	boot, err := emitxds.Bootstrap(emitxds.BootstrapOptions{
		NodeID: x.NodeID(), Cluster: x.Service.String(), Version: x.Version,
		AdminSocket: filepath.Join(dir, "admin.sock"), AgentSocket: filepath.Join(dir, "agent.sock"),
		Controller: ads, ControllerID: model.SPIFFEID(domain, "meshc-system", "meshc-controller"),
	})
	must(w.t, err)
	config, err := emitxds.JSON(boot)
	must(w.t, err)
	token, err := tokens.CreateJoinToken(model.SPIFFEID(domain, x.Service.Namespace, x.Service.Name), time.Hour)
	must(w.t, err)
	must(w.t, os.WriteFile(filepath.Join(dir, "bootstrap.json"), config, 0o600))
	must(w.t, os.WriteFile(filepath.Join(dir, "token"), []byte(token), 0o600))
	return []string{"-c", filepath.Join(dir, "bootstrap.json"), "--workers", "1", "--ca-address", authority, "--ca-root", w.at("roots.pem"),
		"--join-token-file", filepath.Join(dir, "token"), "--identity-dir", filepath.Join(dir, "identity")}
}

// answer is what web gets from api, by way of both proxies.
func (w *world) answer() string {
	w.t.Helper()
	i := slices.IndexFunc(w.workloads, func(x *model.Workload) bool { return len(x.Outbound) > 0 })
	var at string
	for _, at = range w.workloads[i].Outbound {
	}
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + at + "/")
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(w.t, err)
	return fmt.Sprintf("%d %s", resp.StatusCode, body)
}

func (w *world) wantAnswer(want string) {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		got := w.answer()
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("web gets %q from api, want %q", got, want)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// objects are the names of all ServiceConfigs.
func (w *world) objects() []string {
	w.t.Helper()
	list, err := w.admin.Resource(api.ServiceConfigs).Namespace(w.namespace).List(w.t.Context(), metav1.ListOptions{})
	must(w.t, err)
	var out []string
	for _, u := range list.Items {
		out = append(out, u.GetName())
	}
	return out
}
