package snapshot

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/meshc/meshc/compiler/diag"
)

const small = `{
  "apiVersion": "meshc.dev/v1alpha1", "kind": "ClusterSnapshot", "taken": "2026-01-01T00:00:00Z",
  "clusters": [{"name": "east", "namespaces": [{"name": "shop", "labels": {"a": "b"}}],
    "services": [{"namespace": "shop", "name": "web", "selector": {"app": "web"}, "ports": [{"port": 80, "targetName": "http"}]}],
    "pods": [{"namespace": "shop", "name": "web-1", "runAsUser": 0, "ports": [{"name": "http", "port": 8080}]}],
    "secrets": [{"namespace": "shop", "name": "c", "hasKey": true}], "crds": [{"name": "x", "served": ["v1"]}]}]
}
`

// noPlaces leaves places out of comparisons.
var noPlaces = cmpopts.IgnoreTypes(diag.Range{})

// What is read is what encoding/json reads, with places beside.
func TestReadAgreesWithEncodingJSON(t *testing.T) {
	got, diags := Read("s.json", []byte(small))
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	want := &Snapshot{}
	if err := json.Unmarshal([]byte(small), want); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, noPlaces); d != "" {
		t.Error(d)
	}
	if at := got.Clusters[0].Pods[0].At; at.Start != (diag.Pos{Line: 5, Col: 14}) {
		t.Errorf("the pod is at %v", at)
	}
	if got.Clusters[0].Pods[0].RunAsUser == nil {
		t.Error("user 0 is not nobody")
	}
}

// Every member that is taken out is missed if it is required, and else not; one
// whose name is changed is refused.
func TestReadIsStrict(t *testing.T) {
	for _, typ := range []reflect.Type{reflect.TypeFor[Snapshot](), reflect.TypeFor[Cluster](), reflect.TypeFor[Pod](), reflect.TypeFor[Secret]()} {
		for name := range fieldsOf(typ) {
			_, diags := Read("s.json", []byte(strings.Replace(small, `"`+name+`":`, `"x`+name+`":`, 1)))
			if strings.Contains(small, `"`+name+`":`) && (len(diags) != 1 || diags[0].Code != diag.BadSnapshot || diags[0].Range.Start.Line == 0) {
				t.Errorf("x%s: %v", name, diags)
			}
		}
	}
	for _, cut := range []int{0, 1, 20, 150, len(small) - 3} {
		if _, diags := Read("s.json", []byte(small[:cut])); len(diags) != 1 {
			t.Errorf("cut at %d: %v", cut, diags)
		}
	}
}

// FuzzRead wants no panic, and what is read to be read the same from its own
// encoding.
func FuzzRead(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte(`{"clusters": [[]]}`))
	f.Add([]byte(`{"apiVersion": "meshc.dev/v1alpha1", "kind": "ClusterSnapshot", "taken": "2026-01-01T00:00:00Z", "clusters": [{"name": "a", "namespaces": [], "services": [], "pods": []}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, diags := Read("s.json", data)
		if (s == nil) != (len(diags) > 0) {
			t.Fatal("neither a snapshot nor a reason")
		}
		if s == nil || s.Taken.Year() > 9999 {
			return
		}
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		again, diags := Read("s.json", text)
		if len(diags) > 0 {
			t.Fatalf("%v in %s", diags, text)
		}
		equalTimes := cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })
		if d := cmp.Diff(s, again, noPlaces, equalTimes, cmpopts.EquateEmpty()); d != "" {
			t.Fatal(d)
		}
	})
}
