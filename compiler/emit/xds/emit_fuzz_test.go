package xds_test

import (
	"bytes"
	"encoding/json"
	"strings"
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
			if reachesGRPC(m, w) {
				_, err := xds.Emit(m, w, all, xds.Options{Now: now})
				if err == nil || !strings.Contains(err.Error(), "is grpc") {
					t.Fatalf("%s: a proxy that must carry grpc: got error %v", w.NodeID(), err)
				}
				continue
			}
			first := emitJSON(t, m, w, all)
			if second := emitJSON(t, again, xds.DefaultWorkloads(again)[i], all); !bytes.Equal(first, second) {
				t.Fatalf("%s: two runs differ:\n%s\n%s", w.NodeID(), first, second)
			}
		}
	})
}

// reachesGRPC says whether w is a sidecar in front of a grpc port.
func reachesGRPC(m *model.Mesh, w *model.Workload) bool {
	grpc := make(map[model.Ref]bool)
	for _, s := range m.Services {
		grpc[s.Ref] = s.Ports[0].Protocol == model.GRPC
	}
	for _, s := range m.Services {
		if s.Ref != w.Service || w.Role != model.RoleSidecar {
			continue
		}
		for _, used := range s.Uses {
			if grpc[used] {
				return true
			}
		}
	}
	return false
}
