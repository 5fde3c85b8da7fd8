package artifact

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// plainly reads a manifest with encoding/json alone.
func plainly(raw []byte) (manifest, error) {
	var j manifestJSON
	if err := json.Unmarshal(raw, &j); err != nil {
		return manifest{}, err
	}
	m := manifest{basis: j.Basis}
	for _, name := range slices.Sorted(maps.Keys(j.Files)) {
		m.files = append(m.files, entry{name, j.Files[name], j.Made[name]})
	}
	return m, nil
}

func draw(dice *rand.Rand) manifest {
	var m manifest
	if dice.IntN(2) == 0 {
		m.basis = &Basis{Model: `a"name":{`, At: time.Unix(7, 9).UTC()}
		if dice.IntN(2) == 0 {
			m.basis.Until = time.Unix(8, 0).UTC()
		}
	}
	names := map[string]bool{}
	for range dice.IntN(5) {
		names[fmt.Sprintf("%s-%d/v1.json", []string{"a", "é", `q"`, "<", "b b", `\`}[dice.IntN(6)], dice.IntN(3))] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		e := entry{name: name, sum: fmt.Sprint(dice.IntN(9))}
		if dice.IntN(3) > 0 {
			e.made = made{Key: fmt.Sprint("k", dice.IntN(9)), Size: dice.Int64(), Time: -dice.Int64()}
		}
		m.files = append(m.files, e)
	}
	return m
}

func same(a, b manifest) string {
	return cmp.Diff(a, b, cmp.AllowUnexported(manifest{}, entry{}, made{}))
}

func TestManifestIsReadAsItWasWritten(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	lines := 0
	for range 2000 {
		m := draw(dice)
		raw, err := m.encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeManifest(raw)
		if d := same(m, got); err != nil || d != "" && len(m.files) > 0 {
			t.Fatalf("%v\n%s\n%s", err, raw, d)
		}
		json, err := plainly(raw)
		if d := same(json, got); err != nil || d != "" && len(m.files) > 0 {
			t.Fatalf("encoding/json says something else of %s: %v\n%s", raw, err, d)
		}
		if _, ok := readLines(string(raw)); ok {
			lines++
		}
	}
	if lines < 200 {
		t.Errorf("only %d are read line by line", lines)
	}
}

// FuzzManifest holds what is read line by line against encoding/json.
func FuzzManifest(f *testing.F) {
	dice := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		m := draw(dice)
		raw, err := m.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(raw))
	}
	f.Add(`{"files":{"a":"x","A":"y"},"made":{"a":{}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := readLines(text)
		if !ok {
			return
		}
		want, err := plainly([]byte(text))
		if d := same(want, got); err != nil || d != "" && len(got.files) > 0 {
			t.Errorf("%q: %v\n%s", text, err, d)
		}
	})
}
