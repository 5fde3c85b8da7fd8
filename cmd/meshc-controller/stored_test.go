package main

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/reconciler/store"
)

// TestWhatIsStoredIsWhatWasCompiled, to the last field: the ADS server takes what it
// has built for the compiled mesh when the stored one is to be served.
func TestWhatIsStoredIsWhatWasCompiled(t *testing.T) {
	res, err := compiler.Compile(t.Context(), os.DirFS("../../examples/bookinfo/mesh"), compiler.Options{Now: time.Now()})
	if err != nil || res.Model == nil {
		t.Fatal(err, res.Diags)
	}
	head, configs := store.Split(&store.Generation{Commit: "c", Mesh: res.Model})
	h := &store.Head{}
	data, err := json.Marshal(head)
	must(t, err)
	must(t, json.Unmarshal(data, h))
	back := make([]*store.Config, len(configs))
	for i, c := range configs {
		data, err := json.Marshal(c)
		must(t, err)
		back[i] = &store.Config{}
		must(t, json.Unmarshal(data, back[i]))
	}
	g, err := store.Join("c", h, back)
	must(t, err)
	if !reflect.DeepEqual(g.Mesh, res.Model) {
		t.Errorf("not the same: %s", cmp.Diff(g.Mesh, res.Model, cmpopts.EquateComparable()))
	}
}
