package compiler_test

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/meshc/meshc/compiler/diag"
)

// TestEveryCodeHasFixtures holds the registry and testdata/codes together: a
// code that somebody adds is shown to be reported, and not to be reported for a
// near miss.
func TestEveryCodeHasFixtures(t *testing.T) {
	for _, e := range diag.Registry() {
		name := filepath.Join("testdata", "codes", string(e.Code)+".txtar")
		a, err := txtar.ParseFile(name)
		if err != nil {
			t.Errorf("%s (%s) has no fixtures: write compiler/%s with a mesh in bad/a.cue, its mistakes in marks «like this», and a near miss in good/a.cue; "+
				"where more than a mesh is needed, see type fixture", e.Code, e.Title, name)
			continue
		}
		for _, kind := range []string{"bad", "good"} {
			found := false
			for _, f := range a.Files {
				found = found || strings.HasPrefix(f.Name, kind)
			}
			if !found {
				t.Errorf("compiler/%s has no directory %s*: every code has a mesh that produces it and a near miss that does not", name, kind)
			}
		}
	}
	archives, err := filepath.Glob("testdata/codes/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range archives {
		code := diag.Code(strings.TrimSuffix(filepath.Base(name), ".txtar"))
		if _, ok := diag.Lookup(code); !ok {
			t.Errorf("compiler/%s is about a code that the registry does not have: add its entry, or take the file away", name)
		}
	}
}
