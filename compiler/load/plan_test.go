package load

import (
	"bytes"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/test/soak"
	"github.com/meshc/meshc/testdata/genmesh/gen"
)

// outcome is all that Mesh says.
type outcome struct {
	Mesh  *intent.Mesh
	Diags diag.List
}

func outcomeOf(t *testing.T, fsys fstest.MapFS, all bool) outcome {
	t.Helper()
	m, diags, err := Mesh(t.Context(), fsys, Options{InProcess: true, AllCUE: all})
	if err != nil {
		t.Fatal(err)
	}
	return outcome{m, diags}
}

// sameAsCUE compares the whole outcome, places and diagnostics included, with
// that of evaluating everything.
func sameAsCUE(t *testing.T, fsys fstest.MapFS) {
	t.Helper()
	was, is := outcomeOf(t, fsys, true), outcomeOf(t, fsys, false)
	if !reflect.DeepEqual(was, is) {
		for _, name := range slices.Sorted(maps.Keys(fsys)) {
			if !inModuleDir(name) {
				t.Logf("-- %s --\n%s", name, fsys[name].Data)
			}
		}
		t.Fatalf("evaluated and decoded differ (- evaluated):\n%s", cmp.Diff(was, is))
	}
}

// share gives how many directories below the root are decoded, and how many
// there are.
func share(t *testing.T, fsys fstest.MapFS) (decoded, all int) {
	t.Helper()
	files, _, err := collect(t.Context(), fsys, Limits{}.withDefaults(), nil)
	if err != nil {
		t.Fatal(err)
	}
	p := newPlan(files, ".", nil, nil)
	dirs := map[string]bool{}
	for _, f := range files {
		if d := path.Dir(f.Path); d != "." && !inModuleDir(f.Path) {
			dirs[d] = true
		}
	}
	if p == nil {
		return 0, len(dirs)
	}
	for d := range dirs {
		if !p.hard[d] {
			decoded++
		}
	}
	return decoded, len(dirs)
}

func generated(files map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, content := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(content), Mode: 0o644}
	}
	return fsys
}

func layered(t testing.TB, o gen.LargeOptions) fstest.MapFS {
	fsys := fstest.MapFS{}
	err := gen.Large(o, func(name, content string) error {
		if !strings.HasPrefix(name, "cue.mod/pkg") {
			fsys[name] = &fstest.MapFile{Data: []byte(content), Mode: 0o644}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return fsys
}

// Generated meshes use the whole language in literals: were they not decoded,
// nothing here would be tested, and 10,000 services would take 20 times as long.
func TestGeneratedMeshesAreDecoded(t *testing.T) {
	for seed := range uint64(40) {
		fsys := generated(gen.Mesh(seed).Files)
		if decoded, all := share(t, fsys); decoded != all {
			t.Errorf("seed %d: %d of %d directories are decoded", seed, decoded, all)
		}
		sameAsCUE(t, fsys)
	}
	fsys := layered(t, gen.LargeOptions{Services: 400})
	if decoded, all := share(t, fsys); decoded != all-2 {
		t.Errorf("%d of %d directories are decoded; prod and one team compute", decoded, all)
	}
	sameAsCUE(t, fsys)
}

// Lists of a mesh are joined by what they have in common; one that has no homes
// would be lost. Files of rules are no part of what is joined.
func TestEveryListOfAMeshHasHomes(t *testing.T) {
	mesh := reflect.TypeFor[intent.Mesh]()
	for i := range mesh.NumField() {
		f := mesh.Field(i)
		if f.Name != "Config" && f.Name != "Suppressions" && f.Name != "Rules" && !isEntries(f.Type) {
			t.Errorf("%s: join it in joinAnswers and in join", f.Name)
		}
	}
}

// memory is a Cache.
type memory struct {
	mu   sync.Mutex
	data map[string][]byte
	hits int
}

func (m *memory) Key(stage string, content ...[]byte) string {
	return fmt.Sprintf("%s %q", stage, content)
}

func (m *memory) Get(key string) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.data[key]
	if ok {
		m.hits++
	}
	return v, ok
}

func (m *memory) Put(key string, value []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.data[key] = value
}

func (m *memory) PutParts(key string, parts iter.Seq[[]byte]) {
	m.Put(key, bytes.Join(slices.Collect(parts), nil))
}

// A mesh that is edited again and again, files added, changed, moved and
// removed on every level, loads with what the cache has as it loads from
// nothing.
func TestCachedIsCold(t *testing.T) {
	const steps = 10
	from, to := soak.Seeds(t, 3, 300)
	for seed := from; seed < to; seed++ {
		dice := rand.New(rand.NewPCG(seed, 0x636f6c64))
		fsys := layered(t, gen.LargeOptions{Services: 60, PerDir: 1 + dice.IntN(3), Seed: seed})
		cache, memo := &memory{data: map[string][]byte{}}, &Memo{}
		for range steps {
			editTree(dice, fsys)
			cold := outcomeOf(t, fsys, true)
			m, diags, err := Mesh(t.Context(), fsys, Options{InProcess: true, Cache: cache})
			if err != nil {
				t.Fatal(err)
			}
			if d := differ(cold, outcome{m, diags}); d != "" {
				t.Fatalf("seed %d (- cold):\n%s", seed, d)
			}
			if m, diags, err = Mesh(t.Context(), fsys, Options{InProcess: true, Memo: memo}); err != nil {
				t.Fatal(err)
			}
			if d := differ(cold, outcome{m, diags}); d != "" {
				t.Fatalf("seed %d, in one process (- cold):\n%s", seed, d)
			}
		}
		if cache.hits == 0 {
			t.Errorf("seed %d: the cache was of no use", seed)
		}
	}
}

// editTree adds, changes, moves or removes one file.
func editTree(dice *rand.Rand, fsys fstest.MapFS) {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(fsys)), inModuleDir)
	name := names[dice.IntN(len(names))]
	f := fsys[name]
	dir := path.Dir(name)
	switch dice.IntN(8) {
	case 0:
		delete(fsys, name)
	case 1:
		delete(fsys, name)
		fsys[path.Join(dir, "sub", path.Base(name))] = f
	case 2:
		fsys[path.Join(dir, "extra.cue")] = &fstest.MapFile{Data: []byte("package mesh\nservice: [string]: owner: string\n")}
	case 3:
		fsys["mesh.cue"] = &fstest.MapFile{Data: []byte(rootCUE + "service: [string]: serviceAccount: \"a" + strconv.Itoa(dice.IntN(3)) + "\"\n")}
	case 4:
		fsys[path.Join(dir, "odd.cue")] = &fstest.MapFile{Data: []byte("package mesh\n_n: " + strconv.Itoa(dice.IntN(9)) + "\nservice: odd: ports: a: {number: 1 + _n, protocol: \"http\"}\n")}
	case 5:
		fsys[name] = &fstest.MapFile{Data: []byte(edit(dice, string(f.Data)))}
	default:
		fsys[name] = &fstest.MapFile{Data: []byte(strings.Replace(string(f.Data), "5s", "6s", 1))}
	}
}

// What others' tests hold about evaluation holds about decoding.
func TestDecodedIsEvaluated(t *testing.T) {
	for name, files := range map[string][]string{
		"full":                 full,
		"a layer's field":      {"a/l.cue", "package mesh\nservice: [string]: owner: \"x\"\n", "a/b/s.cue", "package mesh\nservice: s: {}\n"},
		"agreeing layer":       {"a/l.cue", "package mesh\nservice: [string]: owner: \"x\"\n", "a/b/s.cue", "package mesh\nservice: s: owner: \"x\"\n"},
		"contradicting layer":  {"a/l.cue", "package mesh\nservice: [string]: owner: \"x\"\n", "a/b/s.cue", "package mesh\nservice: s: owner: \"y\"\n"},
		"unsound layer":        {"a/l.cue", "package mesh\nservice: [string]: owner: 1\n", "a/b/s.cue", "package mesh\nservice: s: {}\n"},
		"named twice":          {"a/l.cue", "package mesh\nservice: s: {}\n", "a/b/s.cue", "package mesh\nservice: s: {}\n"},
		"two files":            {"a/l.cue", "package mesh\nservice: s: ports: a: number: 1\n", "a/s.cue", "package mesh\nservice: s: ports: a: protocol: \"http\"\n"},
		"namespaces disagree":  {"a/l.cue", "package mesh\nnamespace: \"x\"\n", "a/b/s.cue", "package mesh\nnamespace: \"y\"\nservice: s: {}\n"},
		"bad namespace":        {"a/s.cue", "package mesh\nnamespace: \"X\"\nservice: s: {}\n"},
		"definition above":     {"a/l.cue", "package mesh\n#D: {owner: \"x\"} // c\n_h: 1\n", "a/b/s.cue", "package mesh\nservice: s: {}\n", "a/c/s.cue", "package mesh\nservice: t: #D\n"},
		"broken above":         {"a/l.cue", "package mesh\n#D: {owner: nobody}\n", "a/b/s.cue", "package mesh\nservice: s: {}\n"},
		"bad number above":     {"a/l.cue", "package mesh\nservice: 5\n", "a/b/s.cue", "package mesh\nservice: s: {}\n"},
		"stray data":           {"deploy.yaml", "kind: Deployment\n", "a/s.cue", "package mesh\nservice: s: {}\n"},
		"several files agree":  {"a/a.cue", "package mesh\nservice: s: {ports: a: {number: 1, protocol: \"http\"}}\n", "a/b.cue", "package mesh\nservice: s: {ports: a: number: 1}\n"},
		"int and float":        {"a/a.cue", "package mesh\nservice: s: routes: r: to: v: 1\n", "a/b.cue", "package mesh\nservice: s: routes: r: to: v: 1.0\n"},
		"negative":             {"a/a.cue", "package mesh\nservice: s: routes: r: {match: [{headers: x: range: {from: -5, to: 7}}], to: v: 100}\n"},
		"nothing negative":     {"a/a.cue", "package mesh\nservice: s: routes: r: {match: [{headers: x: range: {from: -0, to: - 7}}], to: v: 100}\n"},
		"negative weight":      {"a/a.cue", "package mesh\nservice: s: routes: r: to: v: -1.5\n"},
		"imported":             {"a/a.cue", "package mesh\nservice: s: owner: \"x\"\n", "b/b.cue", "package mesh\nimport \"shop.example/mesh/a:mesh\"\nservice: t: owner: mesh.service.s.owner\n"},
		"config below":         {"a/a.cue", "package mesh\nmesh: name: \"x\"\nservice: s: {}\n"},
		"unbound":              {"mesh.cue", "package mesh\n", "a/a.cue", "package mesh\nservice: s: {}\n"},
		"bound below":          {"mesh.cue", "package mesh\n", "a/a.cue", "package mesh\nimport m \"meshc.dev/mesh\"\nservice: m.#Services\nservice: s: {}\n"},
		"unused import":        {"a/a.cue", "package mesh\nimport m \"meshc.dev/mesh\"\nservice: s: {}\n"},
		"bound to another":     {"a/a.cue", "package mesh\nimport m \"meshc.dev/mesh\"\nservice: m.#Gateways\nservice: s: {}\n"},
		"string is shadowed":   {"a/a.cue", "package mesh\nimport string \"strings\"\nservice: [string]: owner: \"x\"\nservice: s: {}\n"},
		"multiplier":           {"a/a.cue", "package mesh\nservice: s: ports: a: {number: 1K, protocol: \"http\"}\n"},
		"escapes":              {"a/a.cue", "package mesh\nservice: s: owner: \"a\\\\n\\n\\\"\\t\"\n"},
		"wide text":            {"a/a.cue", "package mesh\nservice: s: {owner: \"größe ✓\", host: \"h\"} // é\n"},
		"second package below": {"a/a.cue", "package mesh\nservice: s: {}\n", "a/o.cue", "package other\nx: 1\n"},
		"old language":         {moduleFile, "module: \"x.example\"\nlanguage: version: \"v0.4.0\"\n", "a/a.cue", "package mesh\nservice: s: {}\n"},
		"no module":            {moduleFile, "", "a/a.cue", "package mesh\nservice: s: {}\n"},
	} {
		t.Run(name, func(t *testing.T) { sameAsCUE(t, meshFS(files...)) })
	}
}

// snippets are what edits put into a file.
var snippets = []string{
	"{", "}", "[", "]", ",", ":", "\n", "\"", "\\", "#", "?", "!", "_", "&", "|", "1", ".5", "0", "K", "null", "true", "x: ", "\"y\": ", "...",
	"// c\n", "\t", " ", "...\n", "[string]: ", "#D", "_h: 1\n", "#D: {a: 1}\n", "let x = 1\n", "if true {}\n", "@a(b)", "\"\"\"", "'", "*", "é",
	"service: ", "owner: \"x\"\n", "timeout: \"1s\"\n", "exact: \"x\"\n", "number: 70000\n", "attempts: 101\n", "import \"strings\"\n", "strings.ToUpper(\"a\")",
}

// edit changes one place of a text.
func edit(dice *rand.Rand, text string) string {
	at := dice.IntN(len(text) + 1)
	lines := strings.SplitAfter(text, "\n")
	i, j := dice.IntN(len(lines)), dice.IntN(len(lines))
	switch dice.IntN(6) {
	case 0:
		return text[:at] + snippets[dice.IntN(len(snippets))] + text[at:]
	case 1:
		return text[:at] + text[min(len(text), at+1+dice.IntN(3)):]
	case 2:
		return strings.Join(slices.Delete(slices.Clone(lines), i, i+1), "")
	case 3:
		return strings.Join(slices.Insert(slices.Clone(lines), j, lines[i]), "")
	case 4:
		return strings.Join(slices.Insert(slices.Clone(lines), j, snippets[dice.IntN(len(snippets))]), "")
	}
	lines[i], lines[j] = lines[j], lines[i]
	return strings.Join(lines, "")
}

// edited gives a generated mesh with some files edited.
func edited(t testing.TB, seed uint64) fstest.MapFS {
	dice := rand.New(rand.NewPCG(seed, 0x706c616e))
	fsys := generated(gen.Mesh(seed % 50).Files)
	if seed%4 == 0 {
		fsys = layered(t, gen.LargeOptions{Services: 1 + dice.IntN(6), PerDir: 1 + dice.IntN(3), Seed: seed})
	}
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(fsys)), inModuleDir)
	for range 1 + dice.IntN(3) {
		name := names[dice.IntN(len(names))]
		text := string(fsys[name].Data)
		if dice.IntN(8) == 0 { // moves a file
			delete(fsys, name)
			name = path.Join(path.Dir(name), strconv.Itoa(dice.IntN(2)), path.Base(name))
		}
		if dice.IntN(4) > 0 {
			text = edit(dice, text)
		}
		fsys[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
		names = slices.DeleteFunc(slices.Sorted(maps.Keys(fsys)), inModuleDir)
	}
	return fsys
}

// Random edits of generated meshes, most of which make them wrong, are judged
// as if CUE had evaluated everything.
func TestRandomEditsAreJudgedAsByCUE(t *testing.T) {
	from, to := soak.Seeds(t, 120, 20_000)
	decoded := uint64(0)
	for seed := from; seed < to; seed++ {
		fsys := edited(t, seed)
		sameAsCUE(t, fsys)
		if some, _ := share(t, fsys); some > 0 {
			decoded++
		}
	}
	if decoded < (to-from)/4 {
		t.Errorf("only %d of %d meshes had a directory that is decoded", decoded, to-from)
	}
}

// FuzzPlain: whatever a file holds, decoding and evaluating agree.
func FuzzPlain(f *testing.F) {
	for seed := range uint64(8) {
		for _, text := range gen.Mesh(seed).Files {
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4000 || parsePlain(file{Path: "a/a.cue", Data: []byte(text)}) == nil {
			return // evaluated either way
		}
		sameAsCUE(t, meshFS("a/a.cue", text))
	})
}
