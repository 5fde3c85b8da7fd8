package compiler_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/emit/xds/artifact"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/testdata/genmesh/gen"
)

// fingerprint compiles and renders everything, and gives one hash of it.
func fingerprint(t *testing.T, g *gen.Generated) string {
	t.Helper()
	res, err := compiler.Compile(context.Background(), g.FS(), compiler.Options{Now: now, Load: load.Options{InProcess: true}})
	if err != nil || res.Model == nil {
		t.Fatal(err, res)
	}
	files, err := artifact.New(res.Model, xds.DefaultWorkloads(res.Model), xds.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	fmt.Fprintf(&all, "%+v\n", res.Diags)
	for _, name := range files.Names() {
		if err := files.Render(&all, name); err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf("%x", sha256.Sum256(all.Bytes()))
}

// The output depends on the files, and not on the seeds of maps, the number of
// processors, the locale or the time zone. MESHC_SOAK runs it 100 times on 20
// meshes, and otherwise 2 % of that.
func TestOutputIsTheSameEveryTime(t *testing.T) {
	meshes, runs := uint64(4), 10
	if os.Getenv("MESHC_SOAK") != "" {
		meshes, runs = soakMeshes, soakRuns
	}
	zone := time.Local
	procs := runtime.GOMAXPROCS(0)
	t.Cleanup(func() { time.Local = zone; runtime.GOMAXPROCS(procs) })
	for seed := range meshes {
		want := ""
		for run := range runs {
			runtime.GOMAXPROCS(1 + run%8)
			time.Local = time.FixedZone("test", (run%27-13)*3600)
			t.Setenv("LC_ALL", []string{"C", "de_DE.UTF-8", "tr_TR.UTF-8"}[run%3])
			got := fingerprint(t, gen.Mesh(seed))
			if want == "" {
				want = got
			}
			if got != want {
				t.Fatalf("seed %d, run %d: other output", seed, run)
			}
		}
	}
}

// soakMeshes and soakRuns are what the property asks for in full.
const soakMeshes, soakRuns = 20, 100
