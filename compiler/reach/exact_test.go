package reach

import (
	"math/rand/v2"
	"os"
	"slices"
	"testing"
)

// scale is how much of the full number of draws a run makes: all of them with
// MESHC_SOAK, else one in fifty.
func scale(full int) int {
	if os.Getenv("MESHC_SOAK") != "" {
		return full
	}
	return full / 50
}

// drawDims chooses up to n coordinates.
func drawDims(n int, rng *rand.Rand) []Dim {
	dims := slices.Clone(poolDims)
	rng.Shuffle(len(dims), func(i, j int) { dims[i], dims[j] = dims[j], dims[i] })
	return dims[:1+rng.IntN(n)]
}

func seeded(t *testing.T) *rand.Rand {
	const seed = 20261122
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// ruleSet is a first-match table with its sets.
type ruleSet struct {
	preds []Pred
	space *Space
	sets  []Set
	table Function
}

func drawRules(t *testing.T, dims []Dim, most int, rng *rand.Rand) *ruleSet {
	t.Helper()
	rs := new(ruleSet)
	for range 1 + rng.IntN(most) {
		rs.preds = append(rs.preds, randomPred(dims, 2, rng))
	}
	var err error
	if rs.space, err = New(DefaultLimits, rs.preds...); err != nil {
		t.Fatal(err)
	}
	var rules []Rule
	for i, p := range rs.preds {
		set, err := rs.space.Set(p)
		if err != nil {
			t.Fatal(err)
		}
		rs.sets = append(rs.sets, set)
		rules = append(rules, Rule{set, i})
	}
	if rs.table, err = rs.space.FirstMatch(rules, len(rules)); err != nil {
		t.Fatal(err)
	}
	return rs
}

func firstHolding(preds []Pred, r *Request) int {
	for i, p := range preds {
		if holds(p, r) {
			return i
		}
	}
	return len(preds)
}

// TestEvaluations asks tables for random requests and compares with the oracle.
func TestEvaluations(t *testing.T) {
	rng, evaluations, drawn := seeded(t), 0, newVariety()
	for evaluations < scale(1_000_000) {
		rs := drawRules(t, poolDims, 8, rng)
		drawn.add(rs.preds...)
		for range 50 {
			r := drawRequest(rng)
			evaluations++
			got, ok := rs.space.Outcome(rs.table, r)
			if want := firstHolding(rs.preds, r); !ok || got != want {
				t.Fatalf("%s: rule %d (%v), want %d of %v", r, got, ok, want, rs.preds)
			}
		}
	}
	t.Logf("%d evaluations, 0 wrong", evaluations)
	drawn.enough(t)
}

// TestVerdicts draws pairs of rules. A yes is shown by its witness, which the
// oracle judges; a no by a walk over all requests of the pools.
func TestVerdicts(t *testing.T) {
	rng, pairs, unknowns := seeded(t), 0, 0
	yes, drawn := map[string]int{}, newVariety()
	for ; pairs < scale(100_000); pairs++ {
		dims := drawDims(2, rng)
		a, b := randomPred(dims, 2, rng), randomPred(dims, 2, rng)
		if rng.IntN(4) == 0 {
			b = rewritten(a, rng)
		}
		drawn.add(a, b)
		for _, q := range []struct {
			name string
			ask  func(a, b Pred) (*Request, error)
			yes  func(inA, inB bool) bool
		}{
			{"overlap", Overlap, func(inA, inB bool) bool { return inA && inB }},
			{"uncovered", Uncovered, func(inA, inB bool) bool { return inA && !inB }},
			{"differ", Differ, func(inA, inB bool) bool { return inA != inB }},
		} {
			witness, err := q.ask(a, b)
			switch {
			case IsUnknown(err):
				unknowns++
				t.Logf("%v: %v, %v", err, a, b)
			case err != nil:
				t.Fatal(err)
			case witness != nil:
				yes[q.name]++
				if !legal(witness) || !q.yes(holds(a, witness), holds(b, witness)) {
					t.Fatalf("%s: %s shows nothing of %v and %v", q.name, witness, a, b)
				}
			default:
				walk(dims, func(r *Request) {
					if q.yes(holds(a, r), holds(b, r)) {
						t.Fatalf("%s: none said, but %s; %v and %v", q.name, r, a, b)
					}
				})
			}
		}
	}
	if unknowns*1000 > pairs {
		t.Errorf("%d unknown of %d", unknowns, pairs)
	}
	t.Logf("%d pairs, %d unknown, yes: %v", pairs, unknowns, yes)
	drawn.enough(t)
}

// rewritten says the same in another way.
func rewritten(p Pred, rng *rand.Rand) Pred {
	if p.what().op == isIn {
		switch t := p.what().text; {
		case t.fold:
		case t.shape == prefixShape:
			return Any(p, Is(p.what().dim, Exactly(t.value)))
		case t.shape == segmentPrefixShape:
			return Any(Is(p.what().dim, BeginsWith(t.value+"/")), Is(p.what().dim, Exactly(t.value)))
		case t.shape == betweenShape && t.lo < t.hi:
			middle := t.lo + rng.Int64N(t.hi-t.lo)
			return Any(Is(p.what().dim, Between(t.lo, middle)), Is(p.what().dim, Between(middle, t.hi)))
		}
		return All(p, p)
	}
	parts := make([]Pred, len(p.what().of))
	for i, q := range p.what().of {
		parts[i] = rewritten(q, rng)
	}
	rng.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	switch p.what().op {
	case notOf:
		return Not(parts[0])
	case allOf: // De Morgan
		for i := range parts {
			parts[i] = Not(parts[i])
		}
		return Not(Any(parts...))
	}
	return Any(parts...)
}

// TestTables compares two tables: regions are a partition, each region's
// witness is treated as it says, and a walk finds no pair that is not there.
func TestTables(t *testing.T) {
	rng := seeded(t)
	equal := 0
	for range scale(20_000) {
		dims := drawDims(2, rng)
		var before, after []Pred
		for range 1 + rng.IntN(4) {
			before = append(before, randomPred(dims, 1, rng))
		}
		for _, p := range before {
			after = append(after, rewritten(p, rng))
		}
		if i := rng.IntN(2 * len(after)); i < len(after) {
			after[i] = randomPred(dims, 1, rng)
		}
		regions := compareTables(t, before, after)
		seen := map[[2]int]bool{}
		for r, witness := range regions {
			seen[r] = true
			if got := [2]int{firstHolding(before, witness), firstHolding(after, witness)}; got != r {
				t.Fatalf("%s is in region %v, but goes %v: %v, %v", witness, r, got, before, after)
			}
		}
		walk(dims, func(r *Request) {
			if got := [2]int{firstHolding(before, r), firstHolding(after, r)}; !seen[got] {
				t.Fatalf("%s goes %v, of which there is no region: %v, %v", r, got, before, after)
			}
		})
		if !slices.ContainsFunc(keys(seen), func(r [2]int) bool { return r[0] != r[1] }) {
			equal++
		}
	}
	t.Logf("%d tables were equal", equal)
}

func keys(m map[[2]int]bool) [][2]int {
	var out [][2]int
	for k := range m {
		out = append(out, k)
	}
	return out
}

// compareTables gives the regions with their witnesses.
func compareTables(t *testing.T, before, after []Pred) map[[2]int]*Request {
	t.Helper()
	s, err := New(DefaultLimits, append(slices.Clone(before), after...)...)
	if err != nil {
		t.Fatal(err)
	}
	table := func(preds []Pred) Function {
		var rules []Rule
		for i, p := range preds {
			set, err := s.Set(p)
			if err != nil {
				t.Fatal(err)
			}
			rules = append(rules, Rule{set, i})
		}
		f, err := s.FirstMatch(rules, len(preds))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	f, g := table(before), table(after)
	regions, err := s.Compare(f, g)
	if err != nil {
		t.Fatal(err)
	}
	out, all := map[[2]int]*Request{}, Set{}
	for i, r := range regions {
		if i == 0 {
			all = r.Set
		} else if both, err := s.Intersection(all, r.Set); err != nil || !both.Empty() {
			t.Fatal("regions overlap", err)
		} else if all, err = s.Union(all, r.Set); err != nil {
			t.Fatal(err)
		}
		out[[2]int{r.Before, r.After}] = s.Witness(r.Set)
	}
	same := !slices.ContainsFunc(regions, func(r Region) bool { return r.Before != r.After })
	if !all.Full() || same != (f == g) {
		t.Fatalf("full %v, same %v, equal nodes %v", all.Full(), same, f == g)
	}
	return out
}
