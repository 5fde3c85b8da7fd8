package compiler_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/meshc/meshc/compiler/diag"
)

// fixture is one directory of an archive of testdata/codes: a mesh, and what there
// is besides it. Of its files,
//
//   - snapshot.json is the recorded state of clusters beside which it is vetted,
//   - base/ is the tree with which it is compared, as `meshc diff` does,
//   - given says what else there is, as type given says,
//   - want lists places that no mark can show,
//
// and all others are the mesh. In it, hash: "HASH" stands for the hash that vet
// prints for a patch.
type fixture struct {
	code  diag.Code
	dir   string
	files map[string]string // by path, marks taken out
	base  map[string]string // nil for none
	given *given            // nil for nothing
	want  []string          // places
}

// plain says that a compile of the files alone is what the fixture is about.
func (f *fixture) plain() bool { return f.base == nil && f.given == nil }

// fixtures are those of all archives.
func fixtures(t *testing.T) []*fixture {
	t.Helper()
	archives, err := filepath.Glob("testdata/codes/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal(err, archives)
	}
	var out []*fixture
	for _, name := range archives {
		a, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		byDir := map[string]*fixture{}
		for _, file := range a.Files {
			dir, rest, _ := strings.Cut(file.Name, "/")
			if byDir[dir] == nil {
				byDir[dir] = &fixture{code: diag.Code(strings.TrimSuffix(filepath.Base(name), ".txtar")), dir: dir, files: map[string]string{}}
			}
			byDir[dir].add(t, rest, string(file.Data))
		}
		for _, dir := range slices.Sorted(maps.Keys(byDir)) {
			byDir[dir].pin(t)
			out = append(out, byDir[dir])
		}
	}
	return out
}

func (f *fixture) add(t *testing.T, name, data string) {
	t.Helper()
	switch inBase, ofBase := strings.CutPrefix(name, "base/"); {
	case name == "want":
		f.want = append(f.want, strings.Fields(data)...)
	case name == "given":
		f.given = readGiven(t, data)
	case ofBase:
		if f.base == nil {
			f.base = map[string]string{}
		}
		f.base[inBase] = data
	default:
		clean, ranges := marks(t, name, data)
		f.files[name] = clean
		for _, r := range ranges {
			f.want = append(f.want, span(r))
		}
	}
}

const anyHash = `hash: "HASH"`

var hashInHelp = regexp.MustCompile(`write (hash: "[^"]+")`)

// pin writes the hashes of patches, in the order of the source.
func (f *fixture) pin(t *testing.T) {
	t.Helper()
	for _, files := range []map[string]string{f.files, f.base} {
		text := files["a.cue"]
		for strings.Contains(text, anyHash) {
			at := fmt.Sprintf("a.cue:%d:", 1+strings.Count(text[:strings.Index(text, anyHash)], "\n"))
			hash := ""
			for _, d := range of(compile(t, files), diag.RawChanged) {
				if found := hashInHelp.FindStringSubmatch(d.Help); found != nil && strings.HasPrefix(span(d.Range), at) {
					hash = found[1]
				}
			}
			if hash == "" {
				t.Fatalf("%s/%s: vet prints no hash for the patch at %s", f.code, f.dir, at)
			}
			text = strings.Replace(text, anyHash, hash, 1)
			files["a.cue"] = text
		}
	}
}
