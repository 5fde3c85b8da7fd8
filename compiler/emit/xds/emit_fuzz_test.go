package xds_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
)

// validator is what every generated message of the Envoy API has.
type validator interface{ ValidateAll() error }

func messages(r *xds.Resources) []validator {
	var out []validator
	for _, m := range r.Listeners {
		out = append(out, m)
	}
	for _, m := range r.Routes {
		out = append(out, m)
	}
	for _, m := range r.Clusters {
		out = append(out, m)
	}
	for _, m := range r.Endpoints {
		out = append(out, m)
	}
	return out
}

func emitJSON(t *testing.T, m *model.Mesh, w *model.Workload, all []*model.Workload) []byte {
	t.Helper()
	res, err := xds.Emit(m, w, all, xds.Options{Now: now, Commit: "c0ffee"})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range messages(res) {
		if err := v.ValidateAll(); err != nil {
			t.Fatalf("%s: %v", w.NodeID(), err)
		}
	}
	out, err := json.Marshal(res)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// FuzzEmit: a mesh that checks could have passed compiles to valid resources,
// twice to the same bytes; a hostile one never panics.
func FuzzEmit(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(seed, seed%2 == 1)
	}
	f.Fuzz(func(t *testing.T, seed uint64, hostile bool) {
		m := newDice(seed, hostile).mesh()
		again := newDice(seed, hostile).mesh()
		all := xds.DefaultWorkloads(m)
		for i, w := range all {
			if hostile {
				_, _ = xds.Emit(m, w, all, xds.Options{Now: now})
				continue
			}
			first := emitJSON(t, m, w, all)
			if second := emitJSON(t, again, xds.DefaultWorkloads(again)[i], all); !bytes.Equal(first, second) {
				t.Fatalf("%s: two runs differ:\n%s\n%s", w.NodeID(), first, second)
			}
		}
	})
}
