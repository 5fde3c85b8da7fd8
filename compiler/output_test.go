package compiler_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/cache"
	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/emit/xds/artifact"
)

// output is a directory that the states of a mesh are written to, one after the
// other, and in which people meddle.
type output struct {
	dir  string
	kept *cache.Dir
	dice *rand.Rand

	writes, followed int // and those that went by the difference of two models
}

func newOutput(t *testing.T, kept *cache.Dir, seed uint64) *output {
	return &output{dir: t.TempDir(), kept: kept, dice: rand.New(rand.NewPCG(seed, 0x6f7574))}
}

// followed is a source that counts whether all of its names were asked for.
type followed struct {
	*artifact.Renderer
	names int
}

func (f *followed) Names() ([]string, error) {
	f.names++
	return f.Renderer.Names()
}

// write writes what a compile with the cache gave, and holds the directory, and what
// is remembered of it, against a fresh one.
func (o *output) write(t *testing.T, res *compiler.Result, at time.Time) {
	t.Helper()
	if res.Model == nil || o.dice.IntN(4) == 0 { // meshc vet
		return
	}
	o.meddle(t)
	src := &followed{Renderer: artifact.Placed(res.Model, xds.Options{Now: at})}
	src.Keyed(o.kept.Key)
	if res.Step != nil {
		src.Named(res.Step.Name, res.Step.Since)
	}
	if _, err := artifact.Write(o.dir, src); err != nil {
		t.Fatal(err)
	}
	if o.writes++; src.names == 0 {
		o.followed++
	}
	fresh := artifact.Placed(res.Model, xds.Options{Now: at})
	fresh.Keyed(o.kept.Key)
	other := t.TempDir()
	if _, err := artifact.Write(other, fresh); err != nil {
		t.Fatal(err)
	}
	want := remembered(t, other)
	if d := cmp.Diff(want, remembered(t, o.dir)); d != "" {
		t.Fatalf("what is remembered of files (- of a fresh directory):\n%s", d)
	}
	for name := range want {
		got, err := os.ReadFile(filepath.Join(o.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if want, err := os.ReadFile(filepath.Join(other, name)); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%s is not what a write to a fresh directory gives: %v", name, err)
		}
	}
}

// meddle changes a file, or takes it away.
func (o *output) meddle(t *testing.T) {
	t.Helper()
	files := slices.Sorted(maps.Keys(remembered(t, o.dir)))
	if len(files) == 0 || o.dice.IntN(3) > 0 {
		return
	}
	name := filepath.Join(o.dir, files[o.dice.IntN(len(files))])
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	switch o.dice.IntN(3) {
	case 0:
		err = os.Remove(name)
	case 1: // of the same size
		content[o.dice.IntN(len(content))] ^= 1
		err = os.WriteFile(name, content, 0o600)
	case 2:
		err = os.WriteFile(name, append(content, ' '), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// remembered are the digests and keys of the files of a directory.
func remembered(t *testing.T, dir string) map[string]string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, ".meshc-manifest.json"))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Files map[string]string
		Made  map[string]struct{ Key string }
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	for name := range m.Files {
		m.Files[name] += " " + m.Made[name].Key
	}
	return m.Files
}
