package check

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/digest"
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
		each(len(list), func(i int) { out[i] = list[i].judge() })
		return out
	}
	sums := make([]digest.Sum, len(list))
	var news atomic.Bool
	each(len(list), func(i int) {
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

// each calls f for 0 to n-1 on every processor. A panic of f is one of each.
func each(n int, f func(i int)) {
	var next atomic.Int64
	var failed atomic.Pointer[any]
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		wg.Go(func() {
			defer func() {
				if v := recover(); v != nil {
					failed.Store(&v)
				}
			}()
			for failed.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				f(i)
			}
		})
	}
	wg.Wait()
	if v := failed.Load(); v != nil {
		panic(*v)
	}
}
