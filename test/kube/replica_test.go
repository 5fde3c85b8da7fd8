package kube

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/meshc/meshc/reconciler/api"
	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/test/loopback"
)

// awaitReason waits until a condition has a reason.
func (w *world) awaitReason(c status.ConditionType, reason string) *api.MeshStatus {
	w.t.Helper()
	return w.until(string(c)+" with the reason "+reason, func(s *api.MeshStatus) bool {
		got, _ := s.Condition(c)
		return got.Reason == reason
	})
}

// TestAPushIsHeardByEveryReplica: a forge calls whichever replica its load balancer
// picks, and the one that leads looks.
func TestAPushIsHeardByEveryReplica(t *testing.T) {
	w := newWorld(t)
	w.follow(func(s *api.MeshSpec) { s.Interval = metav1.Duration{Duration: time.Hour} })
	first := w.repo.mesh("100", "0")
	secret := w.at("secret")
	must(t, os.WriteFile(secret, []byte("a secret of the forge"), 0o600))
	hooks := map[string]string{}
	for _, name := range []string{"one", "two"} {
		at := loopback.Address(t)
		hooks[name] = at
		w.replica(name, "", "--webhook-address", at, "--webhook-secret-file", secret)
		w.untilServing(first) // by one
	}
	for i, weights := range [][2]string{{"50", "50"}, {"20", "80"}} {
		commit := w.repo.mesh(weights[0], weights[1])
		at := w.mesh().Status.Inventory.Holder
		if i == 0 { // the one that does not lead
			at = map[string]string{"one": "two", "two": "one"}[at]
		}
		w.push(hooks[at])
		w.untilServing(commit)
	}
}

// push is the call of a forge; the replica may be starting yet.
func (w *world) push(at string) {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, "http://"+at+"/", strings.NewReader("{}"))
		must(w.t, err)
		req.Header.Set("X-Gitlab-Token", "a secret of the forge")
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
		time.Sleep(20 * time.Millisecond)
	}
}

// TestAMissingKeyFileIsWaitedFor: a file that is not mounted yet is no fault of the
// Mesh, and what serves is healed meanwhile.
func TestAMissingKeyFileIsWaitedFor(t *testing.T) {
	w := newWorld(t)
	w.follow(nil)
	w.repo.mesh("100", "0")
	keys := w.at("signers")
	w.replica("one", "", "--git-verify", "head", "--git-allowed-signers-file", keys)
	s := w.awaitReason(status.Ready, "FileUnreadable")
	if c, _ := s.Condition(status.Stalled); c.Status != status.False {
		t.Errorf("%+v", c)
	}
	must(t, os.WriteFile(keys, []byte("a@example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS\n"), 0o600))
	w.awaitReason(status.Stalled, "VerificationFailed") // the commit is not signed at all
}

// TestAnotherTrustDomainEndsNothing: a controller that was started for another trust
// domain says so once, in one term, and heals what serves.
func TestAnotherTrustDomainEndsNothing(t *testing.T) {
	w := newWorld(t)
	w.follow(nil)
	commit := w.repo.mesh("100", "0")
	w.start("")
	w.untilServing(commit)
	w.controller.kill()
	w.replica("two", "", "--trust-domain", "example.org")
	epoch := w.awaitReason(status.Stalled, "TrustDomainMismatch").Inventory.Epoch
	configs := w.admin.Resource(api.ServiceConfigs).Namespace(w.namespace)
	for i := range 3 {
		name := w.objects()[slices.IndexFunc(w.objects(), func(n string) bool { return strings.Contains(n, ".api.") })]
		_, err := configs.Patch(t.Context(), name, types.MergePatchType, []byte(`{"spec":{"config":{"service":{"Owner":"`+strings.Repeat("x", i+1)+`"}}}}`),
			metav1.PatchOptions{FieldManager: "kubectl-edit"})
		must(t, err)
		deadline := time.Now().Add(patience)
		for {
			u, err := configs.Get(t.Context(), name, metav1.GetOptions{})
			must(t, err)
			c, err := api.FromUnstructured[api.ServiceConfig](u)
			must(t, err)
			if !strings.Contains(string(c.Spec.Config), `"Owner":"x`) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("drift is not healed")
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	if s := w.mesh().Status; s.Inventory.Epoch > epoch+1 || s.Inventory.Serving.Commit != commit {
		t.Errorf("inventory %+v, it began in epoch %d", s.Inventory, epoch)
	}
}
