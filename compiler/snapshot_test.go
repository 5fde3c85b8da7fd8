package compiler_test

import (
	"context"
	"testing"
	"testing/fstest"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/snapshot"
)

// compileBeside compiles a mesh beside the snapshot in its file snapshot.json,
// if there is one.
func compileBeside(t *testing.T, files map[string]string) *compiler.Result {
	t.Helper()
	recorded, ok := files["snapshot.json"]
	if !ok {
		return compile(t, files)
	}
	fsys := fstest.MapFS{}
	for name, data := range usual {
		fsys[name] = &fstest.MapFile{Data: []byte(data)}
	}
	for name, data := range files {
		if name != "snapshot.json" {
			fsys[name] = &fstest.MapFile{Data: []byte(data)}
		}
	}
	s, diags := snapshot.Read("snapshot.json", []byte(recorded))
	res, err := compiler.Compile(context.Background(), fsys, compiler.Options{Now: now, Load: load.Options{InProcess: true}, Snapshot: s})
	if err != nil {
		t.Fatal(err)
	}
	res.Diags = append(res.Diags, diags...)
	return res
}
