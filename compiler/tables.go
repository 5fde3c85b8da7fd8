package compiler

import (
	"encoding/json"
	"slices"

	"github.com/meshc/meshc/compiler/check"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/digest"
	"github.com/meshc/meshc/compiler/load"
)

// keptTables are check.Tables as a cache has them: one entry for all services of
// a subtree, because ten thousand small ones take longer to read than to make
// again. The entry is found by the subtree and replaced when the mesh changes;
// what it says of a service is found by the service's content.
type keptTables struct {
	Clean []byte // digests of those without a finding, one after the other
	Found []foundTable
}

// foundTable is what was found about one service.
type foundTable struct {
	Sum   []byte
	Diags diag.List
}

func tablesKey(cache load.Cache, dir string) string { return cache.Key("tables", []byte(dir)) }

// tablesFrom reads what a cache has for a subtree; what it has lost is made again.
func tablesFrom(cache load.Cache, dir string) *check.Tables {
	t := &check.Tables{Found: map[digest.Sum]diag.List{}}
	var kept keptTables
	raw, ok := cache.Get(tablesKey(cache, dir))
	if !ok || json.Unmarshal(raw, &kept) != nil {
		return t
	}
	for sum := range slices.Chunk(kept.Clean, len(digest.Sum{})) {
		t.Found[sumOf(sum)] = nil
	}
	for _, f := range kept.Found {
		t.Found[sumOf(f.Sum)] = f.Diags
	}
	return t
}

// sumOf reads a digest. One of another length is none that is ever asked for.
func sumOf(b []byte) (s digest.Sum) {
	copy(s[:], b)
	return s
}

// keepTables writes what a compile has used, unless the cache has just that.
func keepTables(cache load.Cache, dir string, t *check.Tables) {
	if !t.New {
		return
	}
	var kept keptTables
	for sum, found := range t.Found {
		if len(found) == 0 {
			kept.Clean = append(kept.Clean, sum[:]...)
		} else {
			kept.Found = append(kept.Found, foundTable{sum[:], found})
		}
	}
	if raw, err := json.Marshal(kept); err == nil {
		cache.Put(tablesKey(cache, dir), raw)
	}
}
