package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/meshc/meshc/deploy/rbac"
	"github.com/meshc/meshc/reconciler/admission"
	"github.com/meshc/meshc/test/apiserver"
	"github.com/meshc/meshc/test/loopback"
)

var namespaces = corev1.SchemeGroupVersion.WithResource("namespaces")

// asks makes the configuration by which the API server asks a webhook on this machine
// about the pods of the namespace.
func (w *world) asks(name, at string) {
	w.t.Helper()
	_, port, err := net.SplitHostPort(at)
	must(w.t, err)
	text := fmt.Sprintf(`{"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": {"name": %q}, "webhooks": [{
"name": "inject.meshc.dev", "clientConfig": {"url": "https://localhost:%s%s"}, "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail",
"timeoutSeconds": 10, "reinvocationPolicy": "IfNeeded", "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"], "scope": "Namespaced"}],
"namespaceSelector": {"matchLabels": {"meshc.dev/inject": "enabled", "kubernetes.io/metadata.name": %q}}}]}`, name, port, admission.Path, w.namespace)
	u := &unstructured.Unstructured{}
	must(w.t, json.Unmarshal([]byte(text), &u.Object))
	w.applyGlobal(admission.Configurations, u)
	w.t.Cleanup(func() {
		_ = w.admin.Resource(admission.Configurations).Delete(context.Background(), name, metav1.DeleteOptions{}) // it asks about nothing else
	})
}

// grant gives the user of controllers a role.
func (w *world) grant(text []byte) {
	w.t.Helper()
	role := &unstructured.Unstructured{}
	must(w.t, yaml.Unmarshal(text, &role.Object))
	binding := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": rbacVersion.String(), "kind": role.GetKind() + "Binding",
		"roleRef":  map[string]any{"apiGroup": rbacVersion.Group, "kind": role.GetKind(), "name": role.GetName()},
		"subjects": []any{map[string]any{"apiGroup": rbacVersion.Group, "kind": "User", "name": apiserver.Meshc}},
	}}
	binding.SetName(role.GetName() + "-user") // an installation has bindings of its own
	if role.GetKind() == "ClusterRole" {
		w.applyGlobal(rbacVersion.WithResource("clusterroles"), role)
		w.applyGlobal(rbacVersion.WithResource("clusterrolebindings"), binding)
		return
	}
	w.create(rbacVersion.WithResource("roles"), role)
	w.create(rbacVersion.WithResource("rolebindings"), binding)
}

// bare is a pod of the service api as somebody writes it.
func bare(namespace, name, labels string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	text := `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "` + name + `", "namespace": "` + namespace + `", "labels": {` + labels + `}}, "spec": {
"serviceAccountName": "api", "automountServiceAccountToken": false,
"containers": [{"name": "app", "image": "app", "ports": [{"containerPort": 8080}], "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}}}]}}`
	if err := json.Unmarshal([]byte(text), &u.Object); err != nil {
		panic(err)
	}
	return u
}

// outcome is what is compared of a pod: all that does not name the one object.
func outcome(u *unstructured.Unstructured) string {
	out := map[string]any{"labels": u.GetLabels(), "annotations": u.GetAnnotations(), "spec": u.Object["spec"]}
	text, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		panic(err)
	}
	return string(text)
}

// TestPodsComeBackInjected: a pod that is made in a namespace that asks for it is what
// `meshc inject` makes of the same pod, to the byte; others are left as they are, and
// one that cannot be injected is refused with the reason.
func TestPodsComeBackInjected(t *testing.T) {
	w := newWorld(t)
	w.discover()
	w.grant(rbac.Inject)
	w.grant(rbac.Webhook)
	mesh := strings.NewReplacer("service: api: {", "service: api: {\n\tnamespace: \""+w.namespace+"\"", `, allow: [{from: ["web"]}]`, "").Replace(apiCUE("100", "0"))
	commit := w.repo.commit("cue.mod/module.cue", moduleCUE, "mesh.cue", rootCUE, "shop/api.cue", mesh)
	w.start("")
	w.follow(nil)
	w.untilServing(commit)
	at := loopback.Localhost(t)
	w.asks("meshc-inject", at)
	launch(t, "meshc-controller", "--roles", "inject", "--mesh", w.namespace+"/shop", "--kubeconfig", w.server.Kubeconfig(t, apiserver.Meshc, ""),
		"--inject-address", at, "--inject-host", "localhost")
	w.put(accounts, "ServiceAccount", &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "api"}})
	v1 := `"app": "api", "version": "v1"`

	// What meshc inject makes of it, taken by the API server as it is.
	manifest := filepath.Join(t.TempDir(), "pod.json")
	text, err := bare(w.namespace, "same", v1).MarshalJSON()
	must(t, err)
	must(t, os.WriteFile(manifest, text, 0o600))
	printed, err := exec.Command(filepath.Join(bin, "meshc"), "inject", "-f", manifest, filepath.Join(w.repo.dir, "prod")).Output()
	must(t, err)
	offline := &unstructured.Unstructured{}
	must(t, json.Unmarshal(printed, &offline.Object))
	want, err := w.admin.Resource(pods).Namespace(w.namespace).Create(t.Context(), offline, metav1.CreateOptions{DryRun: []string{"All"}})
	must(t, err)

	w.injected(w.namespace, `"enabled"`)
	create := func(name, labels string, dry ...string) (*unstructured.Unstructured, error) {
		return w.admin.Resource(pods).Namespace(w.namespace).Create(t.Context(), bare(w.namespace, name, labels), metav1.CreateOptions{DryRun: dry})
	}
	got, err := create("same", v1, "All")
	for deadline := time.Now().Add(patience); (err != nil || got.GetAnnotations()["meshc.dev/injected"] == "") && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		got, err = create("same", v1, "All") // the label and the certificate are on their way
	}
	must(t, err)
	if g, w := outcome(got), outcome(want); g != w {
		t.Errorf("by the webhook:\n%s\nby meshc inject:\n%s", g, w)
	}
	got, err = create("same", v1)
	must(t, err)
	if g, w := outcome(got), outcome(want); g != w {
		t.Errorf("made for good, it is another:\n%s\nwant:\n%s", g, w)
	}
	// What has its proxy is not given another.
	offline.SetName("again")
	got, err = w.admin.Resource(pods).Namespace(w.namespace).Create(t.Context(), offline, metav1.CreateOptions{})
	must(t, err)
	if inits, _, _ := unstructured.NestedSlice(got.Object, "spec", "initContainers"); len(inits) != 2 {
		t.Errorf("%d init containers", len(inits))
	}
	if got, err = create("out", v1+`, "meshc.dev/inject": "disabled"`); err != nil || got.GetAnnotations()["meshc.dev/injected"] != "" {
		t.Errorf("opted out: %v, %v", got.GetAnnotations(), err)
	}
	if _, err = create("v9", `"version": "v9"`); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "the labels of no version of service "+w.namespace+"/api") {
		t.Errorf("of no version: %v", err)
	}
	if trusted := w.trusted("meshc-inject"); trusted == 0 {
		t.Error("the configuration trusts nobody")
	}
}

// trusted counts the webhooks of a configuration that say whom to trust.
func (w *world) trusted(name string) int {
	w.t.Helper()
	u, err := w.admin.Resource(admission.Configurations).Get(w.t.Context(), name, metav1.GetOptions{})
	must(w.t, err)
	hooks, _, err := unstructured.NestedSlice(u.Object, "webhooks")
	must(w.t, err)
	count := 0
	for _, h := range hooks {
		if text, _, _ := unstructured.NestedString(h.(map[string]any), "clientConfig", "caBundle"); text != "" {
			count++
		}
	}
	return count
}
