package cluster_test

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/reconciler/store/storetest"
)

var admission = schema.GroupVersion{Group: "admissionregistration.k8s.io", Version: "v1"}

// wide makes an object of the cluster for the time of the test.
func (w *world) wide(resource, kind, name string, body map[string]any) {
	w.t.Helper()
	u := &unstructured.Unstructured{Object: body}
	u.SetAPIVersion(admission.String())
	u.SetKind(kind)
	u.SetName(name)
	client := w.admin.Resource(admission.WithResource(resource))
	_, err := client.Create(w.t.Context(), u, metav1.CreateOptions{})
	must(w.t, err)
	w.t.Cleanup(func() { _ = client.Delete(w.t.Context(), name, metav1.DeleteOptions{}) })
}

func (w *world) own() map[string]any {
	return map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": w.namespace}}
}

// denies has the API server deny what a CEL expression does not hold for, from now
// on: probe gives an error once that counts. lift ends it.
func (w *world) denies(operation, expression string, probe func() error) (lift func()) {
	w.t.Helper()
	name := w.namespace + "-" + strings.ToLower(operation)
	w.wide("validatingadmissionpolicies", "ValidatingAdmissionPolicy", name, map[string]any{"spec": map[string]any{
		"failurePolicy": "Fail",
		"matchConstraints": map[string]any{"resourceRules": []any{map[string]any{
			"apiGroups": []any{"meshc.dev"}, "apiVersions": []any{"*"}, "operations": []any{operation}, "resources": []any{"serviceconfigs"}}}},
		"validations": []any{map[string]any{"expression": expression, "message": "house rules"}},
	}})
	w.wide("validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", name, map[string]any{"spec": map[string]any{
		"policyName": name, "validationActions": []any{"Deny"}, "matchResources": map[string]any{"namespaceSelector": w.own()}}})
	w.until("the policy counts", func() bool { return probe() != nil })
	return func() {
		w.t.Helper()
		must(w.t, w.admin.Resource(admission.WithResource("validatingadmissionpolicybindings")).Delete(w.t.Context(), name, metav1.DeleteOptions{}))
		w.until("the policy is lifted", func() bool { return probe() == nil })
	}
}

// TestAdmissionThatDeniesAWrite: the object and the reason are named, what serves
// stays, and the commit comes to serve when it is let in.
func TestAdmissionThatDeniesAWrite(t *testing.T) {
	w := newWorld(t)
	x := w.mustOpen("one")
	must(t, x.Save(storetest.Generation("1", "a")))
	one, err := w.configs().Get(t.Context(), w.objects()[0], metav1.GetOptions{})
	must(t, err)
	digest := one.GetName()[strings.LastIndexByte(one.GetName(), '.'):]
	lift := w.denies("CREATE", "!object.metadata.name.contains('.b.') && !object.metadata.name.startsWith('probe')", func() error {
		c := one.DeepCopy()
		c.SetName("probe" + digest)
		c.SetResourceVersion("")
		c.SetUID("")
		_, err := w.configs().Create(t.Context(), c, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	})
	err = x.Save(storetest.Generation("2", "b"))
	if err == nil || !strings.Contains(err.Error(), "house rules") || !strings.Contains(err.Error(), "service.default.b.") {
		t.Errorf("denied: %v", err)
	}
	w.wholeServes()
	if i := w.mesh().Status.Inventory; i.Serving.Commit != "1" || i.Pending == nil || i.Pending.Commit != "2" {
		t.Errorf("inventory %+v", i)
	}
	must(t, x.Save(storetest.Generation("3", "a", "c"))) // others go on
	lift()
	must(t, x.Save(storetest.Generation("2", "b")))
	w.settled(&faulty{writer: x}, "2")
}

// TestAdmissionThatDeniesADelete: what may not be deleted stays in the inventory, and
// is deleted when it may be.
func TestAdmissionThatDeniesADelete(t *testing.T) {
	w := newWorld(t)
	x := w.mustOpen("one")
	for i, services := range [][]string{{"a"}, {"b"}} {
		must(t, x.Save(storetest.Generation(fmt.Sprint(i), services...)))
	}
	name := w.objects()[slices.IndexFunc(w.objects(), func(n string) bool { return strings.Contains(n, "service.default.a.") })]
	lift := w.denies("DELETE", "!oldObject.metadata.name.contains('.a.')", func() error {
		return w.configs().Delete(t.Context(), name, metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}})
	})
	for i := range 4 { // which serve all the same
		must(t, x.Save(storetest.Generation(fmt.Sprint("c", i), fmt.Sprint("s", i))))
	}
	if i := w.mesh().Status.Inventory; len(i.Retired) == 0 || i.Serving.Commit != "c3" {
		t.Errorf("inventory %+v", i)
	}
	if !slices.Contains(w.objects(), name) {
		t.Error("it was deleted")
	}
	lift()
	w.settled(&faulty{writer: x}, "c3")
}

// TestAFinalizerThatIsNeverTakenOff holds its own object alone.
func TestAFinalizerThatIsNeverTakenOff(t *testing.T) {
	w := newWorld(t)
	x := w.mustOpen("one")
	for i, services := range [][]string{{"a"}, {"b"}} {
		must(t, x.Save(storetest.Generation(fmt.Sprint(i), services...)))
	}
	name := w.objects()[slices.IndexFunc(w.objects(), func(n string) bool { return strings.Contains(n, "service.default.a.") })]
	patch := func(text string) {
		t.Helper()
		_, err := w.configs().Patch(t.Context(), name, types.MergePatchType, []byte(text), metav1.PatchOptions{})
		must(t, err)
	}
	patch(`{"metadata":{"finalizers":["example.com/stuck"]}}`)
	for i := range 4 {
		must(t, x.Save(storetest.Generation(fmt.Sprint("c", i), fmt.Sprint("s", i))))
	}
	i := w.mesh().Status.Inventory
	if !slices.Contains(w.objects(), name) || len(i.Retired) == 0 || i.Serving.Commit != "c3" {
		t.Errorf("inventory %+v, objects %v", i, w.objects())
	}
	patch(`{"metadata":{"finalizers":null}}`)
	w.settled(&faulty{writer: x}, "c3")
}

// TestAWebhookThatChangesObjects adds to them: that is no drift, and is left alone.
func TestAWebhookThatChangesObjects(t *testing.T) {
	w := newWorld(t)
	hook := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var review struct {
			Request struct{ UID string }
		}
		_ = json.NewDecoder(r.Body).Decode(&review) // what comes is of the API server
		patch := `[{"op":"add","path":"/metadata/annotations","value":{"example.com/seen":"yes"}},{"op":"add","path":"/metadata/labels/team","value":"x"}]`
		_ = json.NewEncoder(rw).Encode(map[string]any{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": map[string]any{
			"uid": review.Request.UID, "allowed": true, "patchType": "JSONPatch", "patch": base64.StdEncoding.EncodeToString([]byte(patch))}})
	}))
	t.Cleanup(hook.Close)
	bundle := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hook.Certificate().Raw})
	w.wide("mutatingwebhookconfigurations", "MutatingWebhookConfiguration", w.namespace, map[string]any{"webhooks": []any{map[string]any{
		"name": "annotate.example.com", "sideEffects": "None", "admissionReviewVersions": []any{"v1"}, "failurePolicy": "Fail", "namespaceSelector": w.own(),
		"clientConfig": map[string]any{"url": hook.URL, "caBundle": base64.StdEncoding.EncodeToString(bundle)},
		"rules":        []any{map[string]any{"apiGroups": []any{"meshc.dev"}, "apiVersions": []any{"*"}, "operations": []any{"CREATE", "UPDATE"}, "resources": []any{"serviceconfigs"}}},
	}}})
	x := w.mustOpen("one")
	must(t, x.SaveStatus(&status.Status{Repository: "/r"}))
	annotated := func() bool {
		for _, name := range w.objects() {
			u, err := w.configs().Get(t.Context(), name, metav1.GetOptions{})
			must(t, err)
			if u.GetAnnotations()["example.com/seen"] != "yes" {
				return false
			}
		}
		return true
	}
	n := 0
	w.until("the webhook is called", func() bool {
		n++
		must(t, x.Save(storetest.Generation(fmt.Sprint(n), fmt.Sprint("a", n))))
		return annotated()
	})
	must(t, x.Save(storetest.Generation("last", "z")))
	w.settled(&faulty{writer: x}, "last")
	versions := func() (out []string) {
		for _, name := range w.objects() {
			u, err := w.configs().Get(t.Context(), name, metav1.GetOptions{})
			must(t, err)
			out = append(out, u.GetName()+" "+u.GetResourceVersion())
		}
		return out
	}
	before := versions()
	for range 5 {
		must(t, x.Heal(expired()))
	}
	if after := versions(); !slices.Equal(before, after) {
		t.Errorf("written again: %v, then %v", before, after)
	}
	if c := w.drifted(); c.Reason != "InSync" {
		t.Errorf("%+v", c)
	}
}

func (w *world) drifted() status.Condition {
	w.t.Helper()
	s := w.mesh().Status
	c, _ := s.Condition(status.Drifted)
	return c
}

// TestAFightIsNamed: an object that is changed again and again is said to be fought
// over, with whom, and is left alone for a while; others are healed.
func TestAFightIsNamed(t *testing.T) {
	w := newWorld(t)
	x := w.mustOpen("one")
	must(t, x.Save(storetest.Generation("1", "a", "b")))
	must(t, x.SaveStatus(&status.Status{Repository: "/r"}))
	x.heals(t)
	serves := func() bool {
		_, err := x.cache.Serving()
		return err == nil
	}
	w.until("all is there", serves)
	find := func(service string) string {
		return w.objects()[slices.IndexFunc(w.objects(), func(n string) bool { return strings.Contains(n, "service.default."+service+".") })]
	}
	name := find("a")
	scribble := func(name string, n int) {
		t.Helper()
		_, err := w.configs().Patch(t.Context(), name, types.MergePatchType, fmt.Appendf(nil, `{"spec":{"config":{"service":{"Owner":"%d"}}}}`, n), metav1.PatchOptions{FieldManager: "rival"})
		must(t, err)
	}
	for n := range 200 {
		scribble(name, n)
		if w.drifted().Reason == "Fighting" {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	w.until("the fight is named", func() bool {
		c := w.drifted()
		return c.Status == status.True && c.Reason == "Fighting" && strings.Contains(c.Message, name) && strings.Contains(c.Message, "by rival (spec.config)")
	})
	scribble(find("b"), 0)
	w.until("another object is healed", func() bool {
		u, err := w.configs().Get(t.Context(), find("b"), metav1.GetOptions{})
		must(t, err)
		owner, _, _ := unstructured.NestedString(u.Object, "spec", "config", "service", "Owner")
		return owner == ""
	})
}

// TestANamespaceThatEnds takes nothing new; what serves is known as long as it is
// there.
func TestANamespaceThatEnds(t *testing.T) {
	w := newWorld(t)
	x := w.mustOpen("one")
	must(t, x.Save(storetest.Generation("1", "a")))
	all := w.admin.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"})
	must(t, all.Delete(t.Context(), w.namespace, metav1.DeleteOptions{})) // and nothing finishes that here
	err := x.Save(storetest.Generation("2", "b"))
	if err == nil || !strings.Contains(err.Error(), "being terminated") {
		t.Errorf("saved: %v", err)
	}
	if g, err := x.Load(); err != nil || g.Commit != "1" {
		t.Errorf("what serves: %+v %v", g, err)
	}
	w.wholeServes()
}
