package fix_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"pgregory.net/rapid"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/fix"
	"github.com/meshc/meshc/compiler/load"
)

func TestMain(m *testing.M) {
	load.MaybeRunChild()
	os.Exit(m.Run())
}

var opts = compiler.Options{Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Load: load.Options{InProcess: true}}

func mesh(files ...string) fstest.MapFS {
	fsys := fstest.MapFS{
		"cue.mod/module.cue": {Data: []byte("module: \"mesh.example\"\nlanguage: version: \"v0.17.0\"\n")},
		"mesh.cue":           {Data: []byte("package mesh\n\nimport m \"meshc.dev/mesh\"\n\nservice: m.#Services\n")},
	}
	for i := 0; i < len(files); i += 2 {
		fsys[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return fsys
}

// vetted is all that `meshc vet` says: what a compile finds, and what is behind.
func vetted(t interface {
	rapid.TB
	Context() context.Context
}, fsys fs.FS) diag.List {
	t.Helper()
	res, err := compiler.Compile(t.Context(), fsys, opts)
	if err != nil {
		t.Fatal(err)
	}
	more, err := fix.Beyond(t.Context(), fsys, opts, res)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat(res.Diags, more)
}

// TestMistakesBehindMistakes needs a round for the shape and one for what the
// shape hid.
func TestMistakesBehindMistakes(t *testing.T) {
	const before = "package mesh\nservice: a: {\n\tports: http: {number: 80, protocol: \"htp\"}\n\tversions: v1: {}\n\troutes: all: {to: v1: 100, timeout: \"3\"} // end\n}\n"
	const after = "package mesh\nservice: a: {\n\tports: http: {number: 80, protocol: \"http\"}\n\tversions: v1: {}\n\troutes: all: {to: v1: 100, timeout: \"3s\"} // end\n}\n"
	fsys := mesh("a.cue", before)
	out, err := fix.Mesh(t.Context(), fsys, opts, nil)
	if err != nil {
		t.Fatal(err)
	}
	if out.Fixed != 2 || len(out.Changes) != 1 || out.Changes[0].File != "a.cue" || string(out.Changes[0].Before) != before || string(out.Changes[0].After) != after {
		t.Errorf("%d fixed: %s", out.Fixed, out.Changes)
	}
	if string(fsys["a.cue"].Data) != before {
		t.Error("the tree was written to")
	}
}

// TestAFixThatBreaksIsNotMade renames a label to which another file refers;
// the fix in the other place is made all the same.
func TestAFixThatBreaksIsNotMade(t *testing.T) {
	fsys := mesh(
		"a.cue", "package mesh\nservcie: a: owner: \"x\"\n",
		"b.cue", "package mesh\nservice: b: {\n\towner: servcie.a.owner\n\tports: http: {number: 80, protocol: \"htp\"}\n\tversions: v1: {}\n}\n")
	out, err := fix.Mesh(t.Context(), fsys, opts, nil)
	if err != nil {
		t.Fatal(err)
	}
	if out.Fixed != 1 || len(out.Changes) != 1 || out.Changes[0].File != "b.cue" {
		t.Errorf("%d fixed: %s", out.Fixed, out.Changes)
	}
}

func TestNothingToFix(t *testing.T) {
	out, err := fix.Mesh(t.Context(), mesh("a.cue", "package mesh\nservice: a: {ports: http: {number: 80, protocol: \"http\"}, versions: v1: {}, routes: all: to: v9: 100}\n"), opts, nil)
	if err != nil || out.Fixed != 0 || len(out.Changes) != 0 {
		t.Errorf("%v %+v", err, out)
	}
}

func TestOnlyTheCodesAskedFor(t *testing.T) {
	fsys := mesh("a.cue", "package mesh\nservice: a: {ports: http: {number: 80, protocol: \"http\"}, versions: v1: {}, routes: all: {to: v1: 90, timeout: \"3\"}}\n")
	out, err := fix.Mesh(t.Context(), fsys, opts, []diag.Code{diag.WeightSum})
	if err != nil || out.Fixed != 1 || string(out.Changes[0].After) != "package mesh\nservice: a: {ports: http: {number: 80, protocol: \"http\"}, versions: v1: {}, routes: all: {to: v1: 100, timeout: \"3\"}}\n" {
		t.Errorf("%v %+v", err, out)
	}
}

// failing gives an error for every file.
type failing struct{ err error }

func (f failing) Open(string) (fs.File, error) { return nil, f.err }

func TestUnreadableTree(t *testing.T) {
	broken := errors.New("disk on fire")
	if _, err := fix.Mesh(t.Context(), failing{broken}, opts, nil); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

// TestBeyondKeepsToWhatTheUserWrote wants nothing that only the copy says: a
// reference to a misspelt name holds until the name is mended.
func TestBeyondKeepsToWhatTheUserWrote(t *testing.T) {
	for name, files := range map[string][]string{
		"a reference to what is mended": {"a.cue", "package mesh\nservcie: a: owner: \"x\"\nservice: b: {owner: servcie.a.owner, ports: http: {number: 80, protocol: \"http\"}, versions: v1: {}}\n"},
		"a reference to what is cut":    {"a.cue", "package mesh\nservice: b: {owner: zone, zone: \"x\", ports: http: {number: 80, protocol: \"http\"}, versions: v1: {}}\n"},
		"a syntax error":                {"a.cue", "package mesh\nservice: b: {\n"},
		"a caller of what is cut": {"a.cue", "package mesh\nservice: b: {ports: http: {number: 99999, protocol: \"http\"}, versions: v1: {}, routes: all: {to: v1: 100, port: \"http\"}}\n" +
			"service: c: {ports: http: {number: 80, protocol: \"http\"}, versions: v1: {}, uses: b: {}}\n"},
		"YAML": {"a.yaml", "service:\n  b: {ownr: x}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			fsys := mesh(files...)
			res, err := compiler.Compile(t.Context(), fsys, opts)
			if err != nil || len(res.Diags) != 1 {
				t.Fatal(err, res.Diags)
			}
			if more, err := fix.Beyond(t.Context(), fsys, opts, res); err != nil || len(more) != 0 {
				t.Errorf("%v %+v", err, more)
			}
		})
	}
}

// TestBeyondMovesPlacesBack has the hidden mistake behind a mended one, in the
// same line: its place, what it points at and its fix are the user's.
func TestBeyondMovesPlacesBack(t *testing.T) {
	const text = "package mesh\nservice: b: {ownr: \"x\", ports: http: {number: 80, protocol: \"http\"}, versions: {stable: {}}, routes: all: to: stabel: 100}\n"
	fsys := mesh("a.cue", text)
	res, err := compiler.Compile(t.Context(), fsys, opts)
	if err != nil {
		t.Fatal(err)
	}
	more, err := fix.Beyond(t.Context(), fsys, opts, res)
	if err != nil || len(more) != 1 || more[0].Code != diag.UnknownVersion || more[0].Fix == nil {
		t.Fatalf("%v %+v", err, more)
	}
	after, err := diag.Apply([]byte(text), append(more[0].Fix.Edits, res.Diags[0].Fix.Edits...))
	if want := "package mesh\nservice: b: {owner: \"x\", ports: http: {number: 80, protocol: \"http\"}, versions: {stable: {}}, routes: all: to: stable: 100}\n"; err != nil || string(after) != want {
		t.Errorf("%v\n%s", err, after)
	}
}
