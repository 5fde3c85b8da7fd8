package local

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/meshc/meshc/ca"
	"github.com/meshc/meshc/compiler/model"
)

// A proxy whose certificate has ended joins again, however long ago it used
// the token that it was started with.
func TestAUsableTokenIsAlwaysReady(t *testing.T) {
	ref := model.Ref{Namespace: "shop", Name: "api"}
	m := &model.Mesh{TrustDomain: "cluster.local", Services: []*model.Service{{Ref: ref, SPIFFEID: "spiffe://cluster.local/ns/shop/sa/api"}}}
	w := &model.Workload{ID: "api-v1-0", Role: model.RoleSidecar, Service: ref, Version: "v1"}
	r := &runner{at: layout{t.TempDir()}, placed: &Placement{Workloads: []*model.Workload{w}}, mesh: m}
	if err := os.MkdirAll(r.at.node(w), 0o700); err != nil {
		t.Fatal(err)
	}
	look := func() string {
		t.Helper()
		r.tokensAt = r.tokensAt.Add(-tokenLook)
		if err := r.keepTokens(); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(r.at.token(w))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	first := look()
	if again := look(); again != first {
		t.Error("a token that can be used was replaced")
	}
	tokens, err := ca.OpenTokens(r.at.ca(), m.TrustDomain)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.Use(first); err != nil {
		t.Fatal(err)
	}
	second := look()
	if grant, err := tokens.Look(second); err != nil || grant.ID.String() != m.Services[0].SPIFFEID {
		t.Errorf("after its use: %v, %v", grant, err)
	}
	m.Services[0].SPIFFEID = "spiffe://cluster.local/ns/shop/sa/other"
	if grant, err := tokens.Look(look()); err != nil || grant.ID.String() != m.Services[0].SPIFFEID {
		t.Errorf("after another service account: %v, %v", grant, err)
	}
	if info, err := os.Stat(filepath.Join(r.at.node(w), "join-token")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}
