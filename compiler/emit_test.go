package compiler_test

import (
	"testing"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
)

// What vets clean can be emitted for every proxy: a commit that passes here
// and is refused by the controller would be found out too late.
func TestWhatVetsCleanCanBeEmitted(t *testing.T) {
	emitted, codes := 0, map[diag.Code]bool{}
	for _, f := range fixtures(t) {
		codes[f.code] = true
		if !f.plain() {
			continue
		}
		if res := compile(t, f.files); res.Model != nil {
			emitted++
			emitAll(t, string(f.code)+"/"+f.dir, res.Model)
		}
	}
	if emitted < len(codes)*9/10 {
		t.Errorf("only %d meshes were emitted", emitted)
	}
}

func emitAll(t *testing.T, name string, m *model.Mesh) {
	t.Helper()
	all := xds.DefaultWorkloads(m)
	for _, w := range all {
		res, err := xds.Emit(m, w, all, xds.Options{Now: now})
		if err == nil {
			err = res.Complete()
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
