package kube

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/meshc/meshc/reconciler/api"
	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/test/apiserver"
)

// specify changes the specification of the Mesh.
func (w *world) specify(text string) {
	w.t.Helper()
	_, err := w.admin.Resource(api.Meshes).Namespace(w.namespace).Patch(w.t.Context(), "shop", types.MergePatchType, []byte(`{"spec":`+text+`}`), metav1.PatchOptions{})
	must(w.t, err)
}

// told waits for an event on the Mesh.
func (w *world) told(reason, text string) {
	w.t.Helper()
	var all []string
	deadline := time.Now().Add(patience)
	for {
		list, err := w.admin.Resource(schema.GroupVersionResource{Version: "v1", Resource: "events"}).Namespace(w.namespace).List(w.t.Context(), metav1.ListOptions{})
		must(w.t, err)
		all = nil
		for _, u := range list.Items {
			kind, _, _ := unstructured.NestedString(u.Object, "involvedObject", "kind")
			got, _, _ := unstructured.NestedString(u.Object, "reason")
			message, _, _ := unstructured.NestedString(u.Object, "message")
			if all = append(all, got+": "+message); kind == api.MeshKind && got == reason && strings.Contains(message, text) {
				return
			}
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("no event %s with %q among %q", reason, text, all)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// meshc runs a command as an operator.
func (w *world) meshc(args ...string) {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), filepath.Join(bin, "meshc"), append(args, "--kubeconfig", w.server.Kubeconfig(w.t, apiserver.Admin, ""))...)
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("meshc %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// refusedFor waits until a commit is kept from serving for a reason.
func (w *world) refusedFor(commit, reason string) *api.MeshStatus {
	w.t.Helper()
	return w.until(commit+" refused: "+reason, func(s *api.MeshStatus) bool {
		c, _ := s.Condition(status.Ready)
		return s.Attempted != nil && s.Attempted.Commit == commit && s.Attempted.Error != "" && c.Reason == reason
	})
}

// TestGuardsOfAMesh: a commit that goes too far changes nothing until it is approved.
func TestGuardsOfAMesh(t *testing.T) {
	w := newWorld(t)
	w.follow(func(s *api.MeshSpec) { s.Guards.MTLS, s.Guards.Access = api.GuardHold, api.GuardHold })
	first := w.repo.mesh("100", "0")
	w.start("")
	w.untilServing(first)
	w.told("Applied", first)

	weaker := w.repo.commit("shop/api.cue", strings.Replace(apiCUE("100", "0"), `mtls: "strict"`, `mtls: "permissive"`, 1))
	s := w.refusedFor(weaker, "GuardBlocked")
	if len(s.Attempted.Diagnostics) == 0 || !strings.Contains(s.Attempted.Error, "mutual TLS is permissive, and was strict") || s.Inventory.Serving.Commit != first {
		t.Errorf("attempted %+v", s.Attempted)
	}
	w.told("Rejected", "mutual TLS is permissive")
	wider := w.repo.commit("shop/api.cue", strings.Replace(apiCUE("100", "0"), `, allow: [{from: ["web"]}]`, `, allow: [{from: ["web", "spy"]}]`, 1),
		"shop/spy.cue", "package mesh\n\nservice: spy: {owner: \"team\", versions: v1: {}, uses: api: {}}\n")
	s = w.until("the wider commit refused", func(s *api.MeshStatus) bool {
		return s.Attempted != nil && s.Attempted.Commit == wider && s.Attempted.Error != ""
	})
	t.Logf("wider: %s", s.Attempted.Error)
	if s.Inventory.Serving.Commit != first {
		t.Errorf("inventory %+v", s.Inventory)
	}
	w.specify(`{"approve":"` + weaker + `"}`) // another one than the newest: it stays
	w.refusedFor(wider, "GuardBlocked")
	w.repo.git("reset", "-q", "--hard", weaker)
	w.untilServing(weaker)
}

// TestSuspendAndRollback: an operator keeps commits from serving, and has what served
// before serve again for a time; all of it is said in the status.
func TestSuspendAndRollback(t *testing.T) {
	w := newWorld(t)
	w.follow(nil)
	first := w.repo.mesh("100", "0")
	w.start("")
	w.untilServing(first)
	w.meshc("suspend", w.namespace+"/shop", "--reason", "the database is moved")
	w.until("suspended", func(s *api.MeshStatus) bool {
		c, _ := s.Condition(status.Suspended)
		return c.Status == status.True && c.Message == "the database is moved"
	})
	second := w.repo.mesh("0", "100")
	s := w.refusedFor(second, "Suspended")
	if !strings.Contains(s.Attempted.Error, "1 changed") || s.Inventory.Serving.Commit != first {
		t.Errorf("attempted %+v", s.Attempted)
	}
	w.meshc("resume", w.namespace+"/shop")
	w.untilServing(second)

	// Back to what served before, by the beginning of its hash, and without Git.
	w.repo.server.Close()
	w.meshc("rollback", w.namespace+"/shop", "--to", first[:12], "--expires", "30s", "--reason", "errors at the till")
	until := w.mesh().Spec.Rollback.Until
	s = w.untilServing(first)
	if s.Inventory.Previous == nil || s.Inventory.Previous.Commit != second {
		t.Errorf("inventory %+v", s.Inventory)
	}
	w.until("the rollback is said", func(s *api.MeshStatus) bool {
		c, _ := s.Condition(status.Suspended)
		return c.Status == status.True && c.Reason == "RolledBack" && strings.Contains(c.Message, "errors at the till") && strings.Contains(c.Message, until.Format(time.RFC3339))
	})
	w.told("Applied", first)
	w.until("it ends", func(s *api.MeshStatus) bool {
		_, found := s.Condition(status.Suspended)
		return !found
	})
	if time.Now().Before(until) {
		t.Errorf("it ended before %s", until)
	}
	w.specify(`{"rollback":{"to":"0123456","until":"2100-01-01T00:00:00Z"}}`) // which there is not
	s = w.awaitReason(status.Suspended, "RollbackFailed")
	if s.Inventory.Serving.Commit != first {
		t.Errorf("inventory %+v", s.Inventory)
	}
}

// TestARollbackEndsByItself: the newest commit serves when the time has come.
func TestARollbackEndsByItself(t *testing.T) {
	w := newWorld(t)
	w.repo.git("config", "uploadpack.allowReachableSHA1InWant", "true") // as forges have it
	w.follow(nil)
	first := w.repo.mesh("100", "0")
	w.start("")
	w.untilServing(first)
	second := w.repo.mesh("50", "50")
	w.untilServing(second)
	third := w.repo.mesh("0", "100")
	w.untilServing(third)
	// The first is no longer in the cluster: it is read from the repository.
	w.specify(fmt.Sprintf(`{"rollback":{"to":%q,"until":%q}}`, first, time.Now().Add(20*time.Second).UTC().Format(time.RFC3339)))
	w.untilServing(first)
	w.untilServing(third)
}
