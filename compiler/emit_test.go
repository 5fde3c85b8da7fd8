package compiler_test

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
)

// What vets clean can be emitted for every proxy: a commit that passes here
// and is refused by the controller would be found out too late.
func TestWhatVetsCleanCanBeEmitted(t *testing.T) {
	archives, err := filepath.Glob("testdata/codes/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal(err, archives)
	}
	emitted := 0
	for _, name := range archives {
		a, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		meshes := map[string]map[string]string{}
		for _, f := range a.Files {
			dir, rest, _ := strings.Cut(f.Name, "/")
			if meshes[dir] == nil {
				meshes[dir] = map[string]string{}
			}
			meshes[dir][rest], _ = marks(t, f.Name, string(f.Data))
		}
		for dir, files := range meshes {
			res := compile(t, files)
			if res.Model == nil {
				continue
			}
			emitted++
			emitAll(t, filepath.Base(name)+"/"+dir, res.Model)
		}
	}
	if emitted < len(archives) {
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
