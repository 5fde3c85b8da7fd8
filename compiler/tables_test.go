package compiler_test

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/cache"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/testdata/genmesh/gen"
)

// A process that finds a cache says what one without says, findings, witnesses
// and fixes too.
func TestCacheIsCold(t *testing.T) {
	for seed := range uint64(4) {
		fsys := gen.Mesh(seed).FS()
		kept, err := cache.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		opts := compiler.Options{Now: now, Load: load.Options{InProcess: true}}
		res, err := compiler.Compile(t.Context(), fsys, opts)
		cold := judge(t, res, err)
		opts.Load.Cache = kept
		for _, name := range []string{"filling", "filled"} {
			res, err := compiler.Compile(t.Context(), fsys, opts)
			if d := cmp.Diff(cold, judge(t, res, err)); d != "" {
				t.Errorf("seed %d, %s (- without):\n%s", seed, name, d)
			}
		}
	}
}

// What is found about routes is the same when it comes from a cache.
func TestFindingsOfRoutesAreKeptWhole(t *testing.T) {
	fsys := fstest.MapFS{}
	for name, data := range usual {
		fsys[name] = &fstest.MapFile{Data: []byte(data)}
	}
	fsys["a.cue"] = &fstest.MapFile{Data: []byte(`package mesh
service: a: {
	ports: http: {number: 80, protocol: "http"}
	versions: v1: {}
	routes: {
		all: to: v1: 100
		late: {match: [{path: prefix: "/x"}], to: v1: 100}
	}
}
`)}
	kept, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	opts := compiler.Options{Now: now, Load: load.Options{InProcess: true, Cache: kept}}
	first, err := compiler.Compile(t.Context(), fsys, opts)
	if err != nil {
		t.Fatal(err)
	}
	again, err := compiler.Compile(t.Context(), fsys, opts)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(first.Diags, again.Diags); d != "" || len(first.Diags) == 0 {
		t.Errorf("%d findings at first (- first):\n%s", len(first.Diags), d)
	}
}
