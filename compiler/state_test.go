package compiler

import (
	"bytes"
	"context"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/meshc/meshc/compiler/cache"
	"github.com/meshc/meshc/compiler/digest"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/testdata/genmesh/gen"
)

var today = time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)

// counted is a cache in memory that counts what is put there.
type counted struct {
	mu   sync.Mutex
	held map[string][]byte
	puts map[string]int // by stage
}

func newCounted() *counted { return &counted{held: map[string][]byte{}, puts: map[string]int{}} }

func (c *counted) Key(stage string, content ...[]byte) string {
	sum := digest.Of(stage, content)
	return stage + " " + string(sum[:])
}

func (c *counted) Get(key string) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.held[key]
	return v, ok
}

func (c *counted) Put(key string, v []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held[key] = v
	stage, _, _ := strings.Cut(key, " ")
	c.puts[stage]++
}

func (c *counted) PutParts(key string, parts iter.Seq[[]byte]) {
	c.Put(key, bytes.Join(slices.Collect(parts), nil))
}

// compiled compiles with a cache, and gives a name of all that came of it.
func compiled(t testing.TB, fsys fs.FS, c load.Cache) digest.Sum {
	t.Helper()
	res, err := Compile(context.Background(), fsys, Options{Now: today, Load: load.Options{InProcess: true, Cache: c}})
	if err != nil {
		t.Fatal(err)
	}
	return digest.Of(res.Intent, res.Model, res.Diags, res.Suppressed)
}

// replaced is a mesh with a word in the place of another, in one file.
func replaced(t testing.TB, from fstest.MapFS, old, now string) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{}
	done := false
	for name, f := range from {
		out[name] = f
		if text := strings.Replace(string(f.Data), old, now, 1); !done && text != string(f.Data) {
			out[name], done = &fstest.MapFile{Data: []byte(text), Mode: f.Mode}, true
		}
	}
	if !done {
		t.Fatalf("nothing says %s", old)
	}
	return out
}

func largeMesh(t testing.TB, services int) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{}
	err := gen.Large(gen.LargeOptions{Services: services}, func(name, content string) error {
		out[name] = &fstest.MapFile{Data: []byte(content), Mode: 0o644}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The next process decodes, checks and lowers what changed, and writes what it
// knows only when that is something else.
func TestTheNextProcessKnows(t *testing.T) {
	first, c := largeMesh(t, 100), newCounted()
	compiled(t, first, c)
	if c.puts["state"] != 1 {
		t.Fatalf("written: %v", c.puts)
	}
	s := stateFrom(c, "")
	if s.was == nil || len(s.was.intents) != 100 || len(s.was.frame.Parts) == 0 {
		t.Fatalf("read: %+v", s.was)
	}
	compiled(t, first, c)
	if c.puts["state"] != 1 {
		t.Errorf("written again although nothing changed: %v", c.puts)
	}
	second := replaced(t, first, `timeout: "5s"`, `timeout: "6s"`)
	if compiled(t, second, c) != compiled(t, second, newCounted()) || c.puts["state"] != 2 {
		t.Errorf("after an edit: %v", c.puts)
	}
	now := stateFrom(c, "")
	same := 0
	for i, piece := range now.was.pieces[servicePieces:] {
		if string(piece) == string(s.was.pieces[servicePieces+i]) {
			same++
		}
	}
	if all := len(s.was.pieces) - servicePieces; same < all-2 {
		t.Errorf("%d of %d pieces with services are copied", same, all)
	}
}

// What an error of load keeps stages from judging is in no state, not even beside
// what they knew before: a default that stood in an unsound mesh is gone with it.
func TestAnErrorLeavesTheStateOfTheLastSoundMesh(t *testing.T) {
	first, c := largeMesh(t, 40), newCounted()
	compiled(t, first, c)
	unsound := replaced(t, first, `timeout: "5s"`, `timeout: 5`)
	unsound["extra.cue"] = &fstest.MapFile{Data: []byte("package mesh\nmesh: mtls: \"permissive\"\n"), Mode: 0o644}
	if compiled(t, unsound, c) != compiled(t, unsound, newCounted()) || c.puts["state"] != 1 {
		t.Errorf("after an error: %v", c.puts)
	}
	second := replaced(t, first, `timeout: "5s"`, `timeout: "6s"`)
	if compiled(t, second, c) != compiled(t, second, newCounted()) {
		t.Error("the mesh after an error is another one than from nothing")
	}
}

// The state of a mesh has nothing of what every load reads anew.
func TestStateIsWithoutRules(t *testing.T) {
	mesh, c := largeMesh(t, 40), newCounted()
	mesh["policies/rules.cue"] = &fstest.MapFile{Data: []byte("package policies\n// a word of the rules\n")}
	for name, f := range mesh {
		if text := string(f.Data); strings.Contains(text, `timeout: "5s"`) {
			mesh[name] = &fstest.MapFile{Data: []byte(text + "\n@meshc(ignore=MSH2161, reason=\"a word of a suppression\", until=\"2030-01-01T00:00:00Z\")\n")}
			break
		}
	}
	res, err := Compile(t.Context(), mesh, Options{Now: today, Load: load.Options{InProcess: true, Cache: c}})
	if err != nil || len(res.Intent.Rules) != 1 || len(res.Intent.Suppressions) != 1 || c.puts["state"] != 1 {
		t.Fatalf("%v %v %v %v", err, res.Intent.Suppressions, res.Diags, c.puts)
	}
	raw := string(c.held[newState(c, "").key])
	if strings.Contains(raw, "a word of") || !strings.Contains(raw, res.Intent.Services[0].Name.V) {
		t.Error("the state has the text of rules, or of suppressions")
	}
	if compiled(t, mesh, c) != compiled(t, mesh, newCounted()) {
		t.Error("with the state it is another mesh")
	}
}

// Whoever compiles what a mesh was leaves what is known of what it is.
func TestThePastLeavesNothing(t *testing.T) {
	now, c := largeMesh(t, 40), newCounted()
	before := replaced(t, now, `timeout: "5s"`, `timeout: "6s"`)
	past := func() digest.Sum {
		res, err := Compile(t.Context(), before, Options{Now: today, Past: true, Load: load.Options{InProcess: true, Cache: c}})
		if err != nil {
			t.Fatal(err)
		}
		return digest.Of(res.Intent, res.Model, res.Diags, res.Suppressed)
	}
	cold := compiled(t, before, newCounted())
	if past() != cold || c.puts["state"]+c.puts["tables"] != 0 {
		t.Errorf("from nothing: %v", c.puts)
	}
	compiled(t, now, c)
	puts := c.puts["state"] + c.puts["tables"]
	if past() != cold || puts == 0 || c.puts["state"]+c.puts["tables"] != puts {
		t.Errorf("after the present: %v", c.puts)
	}
}

// unwritable is a cache that takes no state.
type unwritable struct{ *counted }

func (c unwritable) PutParts(key string, parts iter.Seq[[]byte]) {
	if strings.HasPrefix(key, "state ") {
		panic("no room")
	}
	c.counted.PutParts(key, parts)
}

// A state that cannot be written costs the next process time, and no mesh.
func TestStateThatCannotBeWrittenIsDropped(t *testing.T) {
	mesh := largeMesh(t, 40)
	if compiled(t, mesh, unwritable{newCounted()}) != compiled(t, mesh, newCounted()) {
		t.Error("another mesh")
	}
}

// A mesh with errors leaves what is known of the last one without.
func TestErrorsLeaveNothing(t *testing.T) {
	first, c := largeMesh(t, 40), newCounted()
	compiled(t, first, c)
	broken := replaced(t, first, `timeout: "5s"`, `timeout: "soon"`)
	if compiled(t, broken, c) != compiled(t, broken, newCounted()) || c.puts["state"] != 1 {
		t.Errorf("written: %v", c.puts)
	}
	if compiled(t, first, c) != compiled(t, first, newCounted()) || c.puts["state"] != 1 {
		t.Errorf("written: %v", c.puts)
	}
}

// What lies damaged in a directory is lost, and nothing else.
func TestDamagedStateIsLost(t *testing.T) {
	mesh := largeMesh(t, 40)
	cold := compiled(t, mesh, newCounted())
	dir := t.TempDir()
	kept, err := cache.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	dice := rand.New(rand.NewPCG(1, 2))
	for range 5 {
		compiled(t, mesh, kept)
		files, _ := filepath.Glob(filepath.Join(dir, "*", "*"))
		for _, name := range files {
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			raw[dice.IntN(len(raw))] ^= 1 << dice.IntN(8)
			if err := os.WriteFile(name, raw[:len(raw)-dice.IntN(2)], 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if compiled(t, mesh, kept) != cold {
			t.Fatal("a damaged cache gives another mesh")
		}
	}
}

// image is that of a small mesh.
func smallImage(t testing.TB) []byte {
	c := newCounted()
	compiled(t, largeMesh(t, 40), c)
	return c.held[newState(c, "").key]
}

// Bytes that no process wrote, and that pass for a state, do not crash.
func TestForeignStatesAreSurvived(t *testing.T) {
	whole, dice := smallImage(t), rand.New(rand.NewPCG(3, 4))
	for range 300 {
		raw := append([]byte{}, whole...)
		for range 1 + dice.IntN(4) {
			raw[dice.IntN(len(raw))] = byte(dice.IntN(256))
		}
		_ = newState(newCounted(), "").read(raw)
	}
	for range 100 {
		if err := newState(newCounted(), "").read(whole[:dice.IntN(len(whole))]); err == nil {
			t.Error("a state that is cut short is believed")
		}
	}
}

func FuzzState(f *testing.F) {
	f.Add(smallImage(f))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) { _ = newState(newCounted(), "").read(raw) })
}
