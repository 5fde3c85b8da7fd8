package compiler_test

import (
	"context"
	"fmt"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/testdata/genmesh/gen"
)

// large gives the files of a large mesh.
func large(t testing.TB, o gen.LargeOptions) fstest.MapFS {
	t.Helper()
	fsys := fstest.MapFS{}
	err := gen.Large(o, func(name, content string) error {
		if fsys[name] != nil {
			return fmt.Errorf("%s is written twice", name)
		}
		fsys[name] = &fstest.MapFile{Data: []byte(content), Mode: 0o644}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return fsys
}

// The meshes that speed is measured with vet clean, whatever their size, and
// are the same each time.
func TestLargeMeshesVetClean(t *testing.T) {
	for _, o := range []gen.LargeOptions{{Services: 1}, {Services: 6}, {Services: 23, PerDir: 1, Seed: 3}, {Services: 215, Seed: 2}} {
		fsys := large(t, o)
		if d := cmp.Diff(fsys, large(t, o)); d != "" {
			t.Errorf("%+v: two runs differ: %s", o, d)
		}
		res, err := compiler.Compile(context.Background(), fsys, compiler.Options{Now: now, Load: load.Options{InProcess: true}})
		if err != nil {
			t.Fatal(err)
		}
		if res.Model == nil || len(res.Model.Services) != o.Services {
			t.Errorf("%+v: %d services; %v", o, len(res.Intent.Services), res.Diags)
		}
	}
}
