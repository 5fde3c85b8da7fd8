package lower

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestPrecedenceIsAClosure holds the order that is kept closed against paths
// through the pairs that were put in, looked for anew each time.
func TestPrecedenceIsAClosure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 70).Draw(t, "rules")
		p := newPrecedence(n)
		put := make([][]int, n)
		for range rapid.IntRange(0, 3*n).Draw(t, "pairs") {
			i, j := rapid.IntRange(0, n-1).Draw(t, "i"), rapid.IntRange(0, n-1).Draw(t, "j")
			circle := leads(put, j, i)
			if p.add(i, j) == circle {
				t.Fatalf("%d before %d: circle %t", i, j, circle)
			}
			if !circle {
				put[i] = append(put[i], j)
			}
		}
		order := p.order()
		for i := range n {
			for j := range n {
				want := i != j && leads(put, i, j)
				if p.first(i, j) != want || p.before[j].has(i) != want {
					t.Fatalf("%d before %d: want %t", i, j, want)
				}
				if want && slices.Index(order, i) > slices.Index(order, j) {
					t.Fatalf("%d before %d: order %v", i, j, order)
				}
			}
		}
	})
}

// leads says whether there is a path from i to j, of no step where they are one.
func leads(put [][]int, i, j int) bool {
	seen := make([]bool, len(put))
	var walk func(int) bool
	walk = func(i int) bool {
		if i == j {
			return true
		}
		if seen[i] {
			return false
		}
		seen[i] = true
		return slices.ContainsFunc(put[i], walk)
	}
	return walk(i)
}
