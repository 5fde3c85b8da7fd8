package diagram

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

var sizes = []int32{3, 2, 4, 2}

// points are all points of the space, and table what a function does there.
func points() [][]int {
	out := [][]int{nil}
	for _, n := range sizes {
		var next [][]int
		for _, p := range out {
			for v := range int(n) {
				next = append(next, append(slices.Clone(p), v))
			}
		}
		out = next
	}
	return out
}

func table(s *Store, f Node) []int {
	var out []int
	for _, p := range points() {
		out = append(out, s.At(f, func(v int) int { return p[v] }))
	}
	return out
}

func must(t *rapid.T) func(Node, error) Node {
	return func(n Node, err error) Node {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
}

// drawSet draws a set and, independently, its table.
func drawSet(t *rapid.T, s *Store, depth int, label string) (Node, []int) {
	ok := must(t)
	if depth == 0 {
		v := rapid.IntRange(0, len(sizes)-1).Draw(t, label+"v")
		mask := rapid.IntRange(0, 1<<sizes[v]-1).Draw(t, label+"mask")
		var want []int
		for _, p := range points() {
			want = append(want, mask>>p[v]&1)
		}
		var values []int32
		for value := range sizes[v] {
			if mask>>value&1 == 1 {
				values = append(values, value)
			}
		}
		return ok(s.Among(v, values)), want
	}
	a, wantA := drawSet(t, s, depth-1, label+"l")
	b, wantB := drawSet(t, s, depth-1, label+"r")
	op := rapid.IntRange(0, 3).Draw(t, label+"op")
	out := make([]int, len(wantA))
	for i := range out {
		out[i] = [...]int{wantA[i] & wantB[i], wantA[i] | wantB[i], wantA[i] &^ wantB[i], 1 - wantA[i]}[op]
	}
	switch op {
	case 0:
		return ok(s.And(a, b)), out
	case 1:
		return ok(s.Or(a, b)), out
	case 2:
		return ok(s.Minus(a, b)), out
	}
	return ok(s.Not(a)), out
}

func TestOperationsAgainstTables(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := New(sizes, Limits{10_000, 1_000_000})
		ok := must(t)
		a, wantA := drawSet(t, s, 3, "a")
		b, wantB := drawSet(t, s, 3, "b")
		if got := table(s, a); !slices.Equal(got, wantA) {
			t.Fatalf("got %v, want %v", got, wantA)
		}
		if (a == b) != slices.Equal(wantA, wantB) {
			t.Fatalf("equal functions must be one node: %v, %v", wantA, wantB)
		}
		f := ok(s.OrElse(ok(s.Label(a, 5)), ok(s.Label(b, 7))))
		pairs := ok(s.Together(a, f))
		seven := ok(s.Equals(f, 7))
		fixed := ok(s.Fix(f, 2, 1))
		some := ok(s.Exists(a, func(v int) bool { return v == 1 || v == 2 }))
		for i, p := range points() {
			at := func(v int) int { return p[v] }
			exists := 0
			for j, q := range points() {
				if q[0] == p[0] && q[3] == p[3] {
					exists |= wantA[j]
				}
			}
			if s.At(some, at) != exists {
				t.Fatal("exists")
			}
			want := 0
			switch {
			case wantA[i] == 1:
				want = 5
			case wantB[i] == 1:
				want = 7
			}
			if got := s.At(f, at); got != want {
				t.Fatalf("first match: %d, want %d", got, want)
			}
			if x, y := s.Pair(s.At(pairs, at)); x != wantA[i] || y != want {
				t.Fatalf("pair: %d, %d", x, y)
			}
			if (s.At(seven, at) == 1) != (want == 7) {
				t.Fatal("equals")
			}
			moved := func(v int) int {
				if v == 2 {
					return 1
				}
				return p[v]
			}
			if s.At(fixed, at) != s.At(f, moved) {
				t.Fatal("fix")
			}
		}
		want := slices.Clone(table(s, f))
		slices.Sort(want)
		if got := s.Values(f); !slices.Equal(got, slices.Compact(want)) {
			t.Fatalf("values %v, want %v", got, want)
		}
	})
}

func TestLimitsAreKept(t *testing.T) {
	sizes := make([]int32, 40)
	for i := range sizes {
		sizes[i] = 2
	}
	for _, limits := range []Limits{{1000, 1 << 30}, {1 << 30, 1000}} {
		s, f := New(sizes, limits), False
		var err error
		for i := 0; i < 20 && err == nil; i++ { // pairs far apart: the worst order
			var a, b Node
			if a, err = s.Among(i, []int32{1}); err != nil {
				break
			}
			if b, err = s.Among(i+20, []int32{1}); err != nil {
				break
			}
			if a, err = s.And(a, b); err != nil {
				break
			}
			f, err = s.Or(f, a)
		}
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("%+v: %v", limits, err)
		}
		if _, err := s.And(True, True); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%+v: a store that overflowed still answers", limits)
		}
	}
}
