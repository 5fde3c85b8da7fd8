package language

import (
	"bytes"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/emit/xds/artifact"
)

// TestGolden compares what `meshc compile` writes for each archive.
// MESHC_UPDATE=1 rewrites the expectation.
func TestGolden(t *testing.T) {
	for _, a := range archives(t) {
		t.Run(a.name, func(t *testing.T) {
			m := a.compile(t)
			r, err := artifact.New(m, a.workloads(t, m), xds.Options{Now: now})
			if err != nil {
				t.Fatal(err)
			}
			files := map[string][]byte{}
			names, err := r.Names()
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				var content bytes.Buffer
				if err := r.Render(&content, name); err != nil {
					t.Fatal(err)
				}
				files[name] = content.Bytes()
			}
			a.check(t, files)
		})
	}
}

func (a *archive) check(t *testing.T, got map[string][]byte) {
	t.Helper()
	out := &txtar.Archive{Comment: a.txtar.Comment}
	for _, f := range a.txtar.Files {
		if !strings.HasPrefix(f.Name, "want/") {
			out.Files = append(out.Files, f)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		out.Files = append(out.Files, txtar.File{Name: "want/" + name, Data: got[name]})
	}
	if os.Getenv("MESHC_UPDATE") == "1" {
		if err := os.WriteFile(a.path, txtar.Format(out), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(txtar.Format(a.txtar)), string(txtar.Format(out))); diff != "" {
		t.Errorf("(-golden +got), MESHC_UPDATE=1 rewrites it:\n%s", diff)
	}
}
