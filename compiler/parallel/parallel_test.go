package parallel_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/meshc/meshc/compiler/parallel"
)

func TestEach(t *testing.T) {
	for _, n := range []int{0, 1, 2, 1000} {
		calls := make([]atomic.Int32, n)
		parallel.Each(n, func(i int) { calls[i].Add(1) })
		for i := range calls {
			if got := calls[i].Load(); got != 1 {
				t.Errorf("of %d: %d is called %d times", n, i, got)
			}
		}
	}
}

// A panic reaches whoever can recover from it.
func TestPanicOfOneIsTheCallers(t *testing.T) {
	for _, n := range []int{1, 100} {
		got := func() (v any) {
			defer func() { v = recover() }()
			parallel.Each(n, func(i int) {
				if i == n/2 {
					panic("of one")
				}
			})
			return nil
		}()
		if p, ok := got.(parallel.Panic); !ok || p.Value != "of one" || !strings.Contains(p.String(), "TestPanicOfOneIsTheCallers") {
			t.Errorf("of %d: recovered %v", n, got)
		}
	}
}
