package policies

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/testdata/genmesh/gen"
)

// TestUntouchedIsUnchanged holds the key that `access` skips by against what it
// stands for: whoever it says to be untouched by a random edit of the model,
// nothing changes about who reaches him. A part of the model that decides
// about access and is not in the key is caught by some edit of it.
func TestUntouchedIsUnchanged(t *testing.T) {
	meshes, edits := 2, 40
	if os.Getenv("MESHC_LONG") != "" {
		meshes, edits = 40, 200
	}
	skipped, asked := 0, 0
	for seed := range uint64(meshes) {
		res, err := compiler.Compile(t.Context(), gen.Whole(seed).FS(), compiler.Options{Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Load: load.Options{InProcess: true}})
		if err != nil || res.Model == nil {
			t.Fatalf("seed %d: %v %v", seed, err, res.Diags)
		}
		dice := rand.New(rand.NewPCG(seed, 0x756e74))
		for range edits {
			after, what := edited(t, res.Model, dice)
			if after.Validate() != nil {
				continue
			}
			c := &change{before: res.Model, after: after}
			c.approached = c.approaches()
			for _, ref := range inBoth(res.Model, after) {
				if !c.untouched(ref) {
					asked++
					continue
				}
				skipped++
				if a := behave.CompareAccess(res.Model, after, ref); len(a.Entries) > 0 {
					e := &a.Entries[0]
					t.Errorf("seed %d, %s: %s is said to be untouched, and %v of %v: %v, before %+v after %+v", seed, what, ref, e.Way, e.Who, e.Words, e.Before, e.After)
				}
			}
		}
	}
	if skipped < 100 || asked < 10 {
		t.Errorf("%d were skipped and %d asked: the edits show nothing", skipped, asked)
	}
	t.Logf("%d skipped, %d asked", skipped, asked)
}

func inBoth(before, after *model.Mesh) []model.Ref {
	var out []model.Ref
	for _, s := range before.Services {
		if after.Service(s.Ref) != nil {
			out = append(out, s.Ref)
		}
	}
	for _, e := range before.Externals {
		if after.External(e.Ref) != nil {
			out = append(out, e.Ref)
		}
	}
	return out
}

// site is a part of a decoded document, and how to put another in its place.
type site struct {
	path string
	key  string // the last label that is a name
	was  any
	put  func(any)
}

func sites(v any, path, key string, put func(any), out *[]site) {
	*out = append(*out, site{path, key, v, put})
	switch v := v.(type) {
	case map[string]any:
		for k, below := range v {
			if k != "Origin" && k != "TimeoutOrigin" {
				sites(below, path+"."+k, k, func(x any) { v[k] = x }, out)
			}
		}
	case []any:
		for i, below := range v {
			sites(below, fmt.Sprintf("%s[%d]", path, i), key, func(x any) { v[i] = x }, out)
		}
	}
}

// edited changes one random part of a model: another value that stands in a
// place of the same name, an element less, or two that change places.
func edited(t *testing.T, m *model.Mesh, dice *rand.Rand) (*model.Mesh, string) {
	t.Helper()
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	for {
		var document any
		if err := json.Unmarshal(raw, &document); err != nil {
			t.Fatal(err)
		}
		var all []site
		sites(document, "", "", func(any) {}, &all)
		slices.SortFunc(all, func(a, b site) int { return cmpText(a.path, b.path) })
		at := all[dice.IntN(len(all))]
		what := at.path
		switch was := at.was.(type) {
		case []any:
			if len(was) == 0 {
				continue
			}
			i := dice.IntN(len(was))
			if dice.IntN(2) == 0 && i > 0 {
				was[0], was[i] = was[i], was[0]
				what += " in another order"
				break
			}
			at.put(slices.Delete(slices.Clone(was), i, i+1))
			what += fmt.Sprintf(" without %d", i)
		case bool:
			at.put(!was)
		case string, float64:
			var others []any
			for _, o := range all {
				if o.key == at.key && o.was != nil && fmt.Sprintf("%T", o.was) == fmt.Sprintf("%T", was) && o.was != was {
					others = append(others, o.was)
				}
			}
			if len(others) == 0 {
				continue
			}
			to := others[dice.IntN(len(others))]
			at.put(to)
			what += fmt.Sprintf(" = %v", to)
		default:
			continue
		}
		text, err := json.Marshal(document)
		out := &model.Mesh{}
		if err != nil || json.Unmarshal(text, out) != nil {
			continue
		}
		return out, what
	}
}

func cmpText(a, b string) int {
	if a < b {
		return -1
	}
	return 1
}
