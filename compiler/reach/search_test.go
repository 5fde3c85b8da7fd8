package reach

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/reach/automaton"
)

// search is the other design that was tried (docs/decisions/0006): no classes
// and no diagrams. It looks for a request that meets a predicate by deciding one
// atom after the other, and asks the automata of a coordinate whether the
// literals decided so far leave a value. It is kept as an oracle that shares
// only the automata.
type search struct {
	left    int // decisions that it may still make
	decided map[atom]bool
	byDim   map[Dim][]atom
	values  map[string]bool // whether literals of a coordinate leave a value
}

// atom is one literal.
type atom struct {
	dim  Dim
	text Text
}

func newSearch() *search {
	return &search{left: 200_000, decided: map[atom]bool{}, byDim: map[Dim][]atom{}, values: map[string]bool{}}
}

// possible says whether some request meets p; ok is false when it gives up.
func (s *search) possible(p Pred) (yes, ok bool) {
	if s.left--; s.left < 0 {
		return false, false
	}
	known, value := s.evaluate(p)
	if known {
		return value, true
	}
	next := s.undecided(p)
	for _, v := range []bool{true, false} {
		s.decided[next] = v
		s.byDim[next.dim] = append(s.byDim[next.dim], next)
		fits := s.consistent(next.dim)
		if fits {
			yes, ok = s.possible(p)
		}
		delete(s.decided, next)
		s.byDim[next.dim] = s.byDim[next.dim][:len(s.byDim[next.dim])-1]
		if fits && (yes || !ok) {
			return yes, ok
		}
	}
	return false, true
}

// evaluate gives p's value if the decided atoms settle it.
func (s *search) evaluate(p Pred) (known, value bool) {
	switch p.what().op {
	case isIn:
		value, known = s.decided[atom{p.what().dim, p.what().text}]
		return known, value
	case notOf:
		known, value = s.evaluate(p.what().of[0])
		return known, !value
	}
	all := true
	for _, q := range p.what().of {
		k, v := s.evaluate(q)
		if k && v == (p.what().op == anyOf) {
			return true, v
		}
		all = all && k
	}
	return all, p.what().op == allOf
}

func (s *search) undecided(p Pred) (found atom) {
	var visit func(Pred) bool
	visit = func(p Pred) bool {
		if known, _ := s.evaluate(p); known {
			return false
		}
		if p.what().op == isIn {
			found = atom{p.what().dim, p.what().text}
			return true
		}
		return slices.ContainsFunc(p.what().of, visit)
	}
	visit(p)
	return found
}

// consistent says whether values exist that meet all literals on d. A repeated
// coordinate needs, for each text that holds, a value in it and in none of the
// texts that do not hold.
func (s *search) consistent(d Dim) bool {
	var in, out []Text
	for _, a := range s.byDim[d] {
		if s.decided[a] {
			in = append(in, a.text)
		} else {
			out = append(out, a.text)
		}
	}
	k := kindOf(d)
	switch {
	case len(in) == 0 && k.optional:
		return true
	case !k.repeated:
		return s.value(d, in, out)
	}
	return !slices.ContainsFunc(in, func(t Text) bool { return !s.value(d, []Text{t}, out) })
}

// value says whether some value lies in all of in and none of out.
func (s *search) value(d Dim, in, out []Text) bool {
	texts := append(slices.Clone(in), out...)
	key := fmt.Sprint(d, len(in), texts)
	if yes, ok := s.values[key]; ok {
		return yes
	}
	b := &automaton.Budget{Steps: 5_000_000, States: 1 << 14}
	ms, err := machines(texts, b)
	if err != nil {
		panic(err)
	}
	classes, err := automaton.Split(kindOf(d).domain(d.Name), ms, b)
	if err != nil {
		panic(err)
	}
	yes := slices.ContainsFunc(classes, func(c automaton.Class) bool {
		return len(c.In) == len(in) && (len(in) == 0 || int(c.In[len(in)-1]) == len(in)-1)
	})
	s.values[key] = yes
	return yes
}

// TestTwoDesignsAgree draws predicates over up to four coordinates.
func TestTwoDesignsAgree(t *testing.T) {
	rng, agreed := seeded(t), 0
	for range scale(20_000) {
		p := randomPred(drawDims(4, rng), 3, rng)
		witness, err := Find(p)
		if err != nil {
			t.Fatal(err)
		}
		yes, ok := newSearch().possible(p)
		if !ok {
			continue
		}
		agreed++
		if yes != (witness != nil) {
			t.Fatalf("diagrams say %v, the search %v: %v", witness, yes, p)
		}
	}
	t.Logf("%d verdicts agree", agreed)
}

// TestCompareDesigns measures both on the question of check: is any rule of a
// table hidden by those before it? It prints a table for the decision record
// and fails only if they disagree.
func TestCompareDesigns(t *testing.T) {
	names := slices.SortedFunc(func(yield func(string) bool) {
		for name := range tables {
			if !yield(name) {
				return
			}
		}
	}, cmp.Compare[string])
	for _, name := range names {
		for _, n := range []int{10, 30, 100}[:2+scale(50)/50] {
			preds := tables[name](n)
			begin := time.Now()
			byDiagrams := hiddenByDiagrams(t, preds)
			first := time.Since(begin)
			begin = time.Now()
			bySearch, ok := hiddenBySearch(preds, 3*time.Second)
			second := time.Since(begin)
			if ok && !slices.Equal(byDiagrams, bySearch) {
				t.Errorf("%s %d: %v and %v", name, n, byDiagrams, bySearch)
			}
			t.Logf("| %s | %d | %v | %s |", name, n, first.Round(10*time.Microsecond), verdict(second, ok))
		}
	}
}

func verdict(took time.Duration, ok bool) string {
	if !ok {
		return "gave up after " + took.Round(time.Second).String()
	}
	return took.Round(10 * time.Microsecond).String()
}

func hiddenByDiagrams(t *testing.T, preds []Pred) (hidden []int) {
	s, err := New(DefaultLimits, preds...)
	if err != nil {
		t.Fatal(err)
	}
	taken := Set{}
	for i, p := range preds {
		set, err := s.Set(p)
		if err != nil {
			t.Fatal(err)
		}
		left, err := s.Minus(set, taken)
		if err != nil {
			t.Fatal(err)
		}
		if left.Empty() {
			hidden = append(hidden, i)
		}
		if taken, err = s.Union(taken, set); err != nil {
			t.Fatal(err)
		}
	}
	return hidden
}

func hiddenBySearch(preds []Pred, most time.Duration) (hidden []int, ok bool) {
	begin := time.Now()
	for i, p := range preds {
		s := newSearch()
		yes, ok := s.possible(All(p, Not(Any(preds[:i]...))))
		if !ok || time.Since(begin) > most {
			return nil, false
		}
		if !yes {
			hidden = append(hidden, i)
		}
	}
	return hidden, true
}
