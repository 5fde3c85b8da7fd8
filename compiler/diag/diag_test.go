package diag

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRegistryIsOrderedAndComplete(t *testing.T) {
	all := Registry()
	if !slices.IsSortedFunc(all, func(a, b Entry) int { return strings.Compare(string(a.Code), string(b.Code)) }) {
		t.Error("the registry is not in ascending order")
	}
	seen := map[Code]bool{}
	for _, e := range all {
		if seen[e.Code] {
			t.Errorf("%s is registered twice", e.Code)
		}
		seen[e.Code] = true
		if !regexp.MustCompile(`^MSH[1-9][0-9]{3}$`).MatchString(string(e.Code)) {
			t.Errorf("%q is not a code", e.Code)
		}
		if e.Title == "" || e.Explain == "" {
			t.Errorf("%s lacks a title or an explanation", e.Code)
		}
		if e.Bad == "" || e.Good == "" {
			t.Errorf("%s lacks an example: give its entry in registry_*.go the smallest fragment that produces it and one that does not", e.Code)
		}
	}
}

// TestEveryCodeIsRegisteredAndProduced reads the compiler's sources: a constant
// without an entry would panic in New, and an entry that nothing produces
// promises a check that does not exist.
func TestEveryCodeIsRegisteredAndProduced(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	var source []byte
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		source = append(source, data...)
	}
	used := usedNames(t)
	for _, m := range regexp.MustCompile(`(?m)^\t(\w+) +Code = "(MSH\d{4})"`).FindAllStringSubmatch(string(source), -1) {
		if _, ok := Lookup(Code(m[2])); !ok {
			t.Errorf("%s (%s) has no entry: add one to the registry_*.go of its block, and the block to Registry", m[1], m[2])
		}
		if !used[m[1]] {
			t.Errorf("%s (%s) is produced nowhere: report it as diag.%s outside of this package (in compiler/, policies/, reconciler/ or cmd/meshc), or take the constant away", m[1], m[2], m[1])
		}
	}
}

// usedNames finds every diag.Name outside of this package, and what the
// suppressor reports in it.
func usedNames(t *testing.T) map[string]bool {
	t.Helper()
	used := map[string]bool{"SuppressionExpired": true, "SuppressionUnused": true}
	name := regexp.MustCompile(`\bdiag\.(\w+)`)
	for _, root := range []string{"..", "../../cmd/meshc", "../../policies", "../../reconciler"} {
		err := filepath.WalkDir(root, func(p string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
				return err
			}
			data, err := os.ReadFile(p)
			for _, m := range name.FindAllStringSubmatch(string(data), -1) {
				used[m[1]] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return used
}

func TestNewTakesTheSeverityOfTheRegistry(t *testing.T) {
	at := Range{File: "a.cue", Start: Pos{1, 2}, End: Pos{1, 3}}
	if d := New(NotCovered, at, "x %d", 1); d.Severity != Info || d.Message != "x 1" || d.Range != at {
		t.Errorf("%+v", d)
	}
	defer func() {
		if recover() == nil {
			t.Error("an unregistered code is taken")
		}
	}()
	New("MSH0000", at, "x")
}

func TestJSONSaysTheSeverityInWords(t *testing.T) {
	in := New(FaultExpired, Range{File: "a.cue"}, "x")
	data, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), `"severity":"warning"`) {
		t.Errorf("%s", data)
	}
	var out Diagnostic
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(in, out); d != "" {
		t.Error(d)
	}
	if err := json.Unmarshal([]byte(`{"severity":"fatal"}`), &out); err == nil {
		t.Error("an unknown severity is taken")
	}
}

func TestSortIsByPlaceThenCode(t *testing.T) {
	at := func(file string, line int) Range { return Range{File: file, Start: NewPos(line, 1)} }
	l := List{New(BadTime, at("b", 1), "z"), New(Syntax, at("b", 1), "y"), New(Syntax, at("b", 1), "x"), New(Syntax, at("a", 9), "w")}
	l.Sort()
	var got []string
	for _, d := range l {
		got = append(got, d.Message)
	}
	if d := cmp.Diff([]string{"w", "x", "y", "z"}, got); d != "" {
		t.Error(d)
	}
}
