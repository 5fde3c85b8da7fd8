package check

import (
	"slices"
	"sync/atomic"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/digest"
	"github.com/meshc/meshc/compiler/parallel"
)

// Tables is what was found about the routes of services, by all that the
// services hold. The zero value knows nothing. It keeps what the last call of
// Model needed; one call uses it at a time.
type Tables struct {
	Found map[digest.Sum]diag.List
	New   bool // the last call of Model found out more than was known
}

// all gives what is found for each of list, on every processor and in the order
// of the list.
func (t *Tables) all(list []toJudge) []diag.List {
	out := make([]diag.List, len(list))
	if t == nil {
		parallel.Each(len(list), func(i int) { out[i] = list[i].judge() })
		return out
	}
	sums := make([]digest.Sum, len(list))
	var news atomic.Bool
	parallel.Each(len(list), func(i int) {
		sums[i] = digest.Of(list[i].service, list[i].callers)
		found, known := t.Found[sums[i]]
		if !known {
			found = list[i].judge()
			news.Store(true)
		}
		out[i] = found
	})
	t.New = news.Load()
	t.Found = make(map[digest.Sum]diag.List, len(list))
	for i, sum := range sums {
		t.Found[sum] = out[i]
		out[i] = unshared(out[i])
	}
	return out
}

// unshared gives diagnostics to which more may be appended without a trace in l.
func unshared(l diag.List) diag.List {
	out := slices.Clone(l)
	for i := range out {
		out[i].Related = slices.Clip(out[i].Related)
	}
	return out
}
