package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/meshc/meshc/deploy/install"
	"github.com/meshc/meshc/reconciler/admission"
	"github.com/meshc/meshc/reconciler/api"
	"github.com/meshc/meshc/test/apiserver"
)

// command runs meshc and gives its exit status and what it printed.
func (w *world) command(kubeconfig string, args ...string) (code int, out string) {
	w.t.Helper()
	cmd := exec.Command(filepath.Join(bin, "meshc"), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "HOME=/nonexistent")
	cmd.Dir = w.repo.dir
	var both bytes.Buffer
	cmd.Stdout, cmd.Stderr = &both, &both
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), both.String()
}

func (w *world) wantMeshc(want int, says, kubeconfig string, args ...string) string {
	w.t.Helper()
	code, out := w.command(kubeconfig, args...)
	if code != want || !strings.Contains(out, says) {
		w.t.Errorf("meshc %s: exit status %d, want %d and %q:\n%s", strings.Join(args, " "), code, want, says, out)
	}
	return out
}

// applyStrictly applies manifests as kubectl apply --server-side does, with fields that
// the API does not know refused.
func (w *world) applyStrictly(text string) {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for _, doc := range strings.Split(text, "\n---\n") {
		u := &unstructured.Unstructured{}
		must(w.t, yaml.Unmarshal([]byte(doc), &u.Object))
		if len(u.Object) == 0 {
			continue
		}
		data, err := json.Marshal(u.Object)
		must(w.t, err)
		r, _ := meta.UnsafeGuessKindToResource(u.GroupVersionKind())
		if u.GetKind() == api.MeshKind {
			r = api.Meshes
		}
		force := true
		for {
			var to dynamic.ResourceInterface = w.admin.Resource(r)
			if u.GetNamespace() != "" {
				to = w.admin.Resource(r).Namespace(u.GetNamespace())
			}
			_, err = to.Patch(w.t.Context(), u.GetName(), types.ApplyPatchType, data, metav1.PatchOptions{FieldManager: "install", Force: &force, FieldValidation: metav1.FieldValidationStrict})
			if !apierrors.IsNotFound(err) || time.Now().After(deadline) {
				break // a definition that was applied is served a little later
			}
			time.Sleep(20 * time.Millisecond)
		}
		if err != nil {
			w.t.Fatalf("%s %s: %v", u.GetKind(), u.GetName(), err)
		}
	}
}

// as writes a kubeconfig with a token of a service account.
func (w *world) as(account string) string {
	w.t.Helper()
	request := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": map[string]any{"expirationSeconds": int64(3600)}}}
	request.SetName(account)
	got, err := w.admin.Resource(accounts).Namespace(install.Namespace).Create(w.t.Context(), request, metav1.CreateOptions{}, "token")
	must(w.t, err)
	token, _, _ := unstructured.NestedString(got.Object, "status", "token")
	file := filepath.Join(w.t.TempDir(), "kubeconfig")
	must(w.t, os.WriteFile(file, fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: test, user: test}}]
clusters: [{name: test, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: test, user: {token: %q}}]
`, w.server.Host, w.server.Config("").CAFile, token), 0o600))
	return file
}

// deployed gives the arguments of a container of the installation, with other values for
// some flags.
func (w *world) deployed(name string, change map[string]string) []string {
	w.t.Helper()
	u, err := w.admin.Resource(schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}).Namespace(install.Namespace).Get(w.t.Context(), name, metav1.GetOptions{})
	must(w.t, err)
	containers, _, err := unstructured.NestedSlice(u.Object, "spec", "template", "spec", "containers")
	must(w.t, err)
	var out []string
	for _, a := range containers[0].(map[string]any)["args"].([]any) {
		flag, _, _ := strings.Cut(a.(string), "=")
		if value, found := change[flag]; found {
			a = flag + "=" + value
		}
		out = append(out, a.(string))
	}
	return out
}

// TestInstall: what meshc install prints is taken by the API server as it stands, and
// what runs there with the accounts and arguments of the manifests may do what it
// does; and the commands that ask a cluster.
func TestInstall(t *testing.T) {
	w := newWorld(t)
	admin, stranger := w.server.Kubeconfig(t, apiserver.Admin, ""), w.server.Kubeconfig(t, apiserver.Stranger, "")
	w.wantMeshc(0, "permission to install", admin, "check", "--pre")
	w.wantMeshc(1, "you may not create", stranger, "check", "--pre")
	w.wantMeshc(2, "does not answer", filepath.Join(t.TempDir(), "none"), "check", "--pre", "--kubeconfig", w.server.Kubeconfig(t, apiserver.Admin, "https://127.0.0.1:1"))
	w.wantMeshc(2, "say --print", admin, "install")

	t.Cleanup(func() {
		_ = w.admin.Resource(admission.Configurations).Delete(context.Background(), "meshc-inject", metav1.DeleteOptions{}) // the API server cannot reach its Service
	})
	manifests := w.wantMeshc(0, "kind: Mesh", admin, "install", "--print", "--set", "mesh.repository="+w.repo.url, "--set", "mesh.path=prod")
	w.applyStrictly(manifests)
	w.applyStrictly(manifests) // and again
	base, err := os.ReadFile(filepath.Join("..", "..", "deploy", "base", "meshc.yaml"))
	must(t, err)
	_, plain := w.command(admin, "install", "--print")
	if _, rest, _ := strings.Cut(string(base), "\n"); rest != plain {
		t.Error("deploy/base is not what meshc install prints")
	}

	w.wantMeshc(2, "no controller has reported yet", admin, "status", "--mesh", install.Namespace+"/mesh")
	commit := w.repo.mesh("100", "0")
	ca := w.at("ca-installed")
	controller := w.as("meshc-controller")
	launch(t, "meshc-controller", append(w.deployed("meshc-controller", map[string]string{
		"--ads-address": "127.0.0.1:0", "--ca-address": "127.0.0.1:0", "--probe-address": "127.0.0.1:0", "--ca-dir": ca,
	}), "--kubeconfig", controller, "--identity", "installed")...)
	hook := launch(t, "meshc-controller", append(w.deployed("meshc-inject", map[string]string{
		"--inject-address": "127.0.0.1:0", "--probe-address": "127.0.0.1:0",
	}), "--kubeconfig", w.as("meshc-inject"))...)
	w.namespace = install.Namespace
	w.untilServingMesh("mesh", commit)
	for deadline := time.Now().Add(patience); w.trusted("meshc-inject") == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the webhook was never trusted: %s", hook.log.tail(2<<10))
		}
	}
	w.liveCommands(admin, commit)
	out := w.wantMeshc(1, "0 of 1 available", admin, "check") // nobody runs deployments here
	for _, want := range []string{"definition meshes.meshc.dev", "webhook meshc-inject", "there is no Service default/api"} {
		if !strings.Contains(out, want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
	w.wantMeshc(2, "unknown", stranger, "check")
	w.wantAllowed("system:serviceaccount:" + install.Namespace + ":")
}

// liveCommands are those that ask the Mesh of the installation.
func (w *world) liveCommands(kubeconfig, commit string) {
	w.t.Helper()
	mesh := []string{"--mesh", install.Namespace + "/mesh"}
	// No proxy is there yet.
	w.wantMeshc(2, "not live in time: "+commit[:12]+" programmed 0/0", kubeconfig, append([]string{"wait", commit, "--timeout", "3s"}, mesh...)...)
	w.wantMeshc(1, commit[:12]+"  programmed 0/0", kubeconfig, append([]string{"status"}, mesh...)...)
	w.wantMeshc(0, "", kubeconfig, append([]string{"diff", "live", "--dir", "prod"}, mesh...)...)
	must(w.t, os.WriteFile(filepath.Join(w.repo.dir, "prod", "shop", "api.cue"), []byte(apiCUE("50", "50")), 0o600))
	w.wantMeshc(1, "SHIFT", kubeconfig, append([]string{"diff", "live", "--dir", "prod"}, mesh...)...)
	w.wantMeshc(2, "exclude each other", kubeconfig, append([]string{"status", "--state", "x"}, mesh...)...)
	w.wantMeshc(2, "there is no Mesh", kubeconfig, "status", "--mesh", install.Namespace+"/other")
	w.wantMeshc(2, "forbidden", w.server.Kubeconfig(w.t, apiserver.Stranger, ""), append([]string{"diff", "live", "--dir", "prod"}, mesh...)...)
}

// untilServingMesh waits until a Mesh serves a commit.
func (w *world) untilServingMesh(name, commit string) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		u, err := w.admin.Resource(api.Meshes).Namespace(w.namespace).Get(w.t.Context(), name, metav1.GetOptions{})
		must(w.t, err)
		m, err := api.FromUnstructured[api.Mesh](u)
		must(w.t, err)
		if m.Status.Serving != nil && m.Status.Serving.Commit == commit {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%+v", m.Status)
		}
	}
}

// wantAllowed fails the test if the API server refused a request of a user that begins
// so.
func (w *world) wantAllowed(users string) {
	w.t.Helper()
	for line := range bytes.Lines(w.server.Audit(w.t)) {
		var e struct {
			Verb, RequestURI string
			User             struct{ Username string }
			ResponseStatus   struct{ Code int }
		}
		if bytes.HasSuffix(line, []byte("\n")) {
			must(w.t, json.Unmarshal(line, &e))
		}
		if strings.HasPrefix(e.User.Username, users) && e.ResponseStatus.Code == 403 {
			w.t.Errorf("%s may not %s %s", e.User.Username, e.Verb, e.RequestURI)
		}
	}
}
