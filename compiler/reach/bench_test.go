package reach

import (
	"fmt"
	"strings"
	"testing"
)

// tables are shapes of rule lists, by what they ask of the engine.
var tables = map[string]func(n int) []Pred{
	"usual": func(n int) []Pred { // what teams write: a path each, some with a header or method
		var out []Pred
		for i := range n {
			p := Is(Dim{Kind: Path}, Below(fmt.Sprintf("/team-%d/service-%d", i%17, i)))
			switch i % 4 {
			case 0:
				p = All(p, Is(Dim{Header, "x-canary"}, Exactly("true")))
			case 1:
				p = All(p, OfMethods([]string{"GET", "HEAD"}))
			case 2:
				p = Is(Dim{Kind: Path}, Matching(fmt.Sprintf("/team-%d/v[0-9]+/item-%d(/.*)?", i%17, i)))
			}
			out = append(out, p)
		}
		return append(out, Pred{})
	},
	"exact": func(n int) []Pred {
		return repeat(n, func(i int) Pred { return Is(Dim{Kind: Path}, Exactly(fmt.Sprintf("/item/%d", i))) })
	},
	"nested": func(n int) []Pred { // prefixes inside prefixes, the longest first
		return repeat(n, func(i int) Pred { return Is(Dim{Kind: Path}, BeginsWith(strings.Repeat("/a", n-i))) })
	},
	"values of one header": func(n int) []Pred {
		return repeat(n, func(i int) Pred { return Is(Dim{Header, "x-tenant"}, Exactly(fmt.Sprintf("tenant-%d", i))) })
	},
	"a header each": func(n int) []Pred {
		return repeat(n, func(i int) Pred { return Is(Dim{Header, fmt.Sprintf("x-%d", i)}, Exactly("1")) })
	},
	"two headers each": func(n int) []Pred {
		return repeat(n, func(i int) Pred {
			return All(Is(Dim{Header, fmt.Sprintf("x-%d", i)}, Exactly("1")), Not(Is(Dim{Header, fmt.Sprintf("y-%d", i)}, Exactly("1"))))
		})
	},
	"suffixes": func(n int) []Pred {
		return repeat(n, func(i int) Pred { return Is(Dim{Kind: Path}, EndsWith(fmt.Sprintf("/%d.json", i))) })
	},
}

func repeat(n int, rule func(int) Pred) []Pred {
	var out []Pred
	for i := range n {
		out = append(out, rule(i))
	}
	return out
}

func buildTable(preds []Pred) (*Space, Function, error) {
	s, err := New(DefaultLimits, preds...)
	if err != nil {
		return nil, Function{}, err
	}
	var rules []Rule
	for i, p := range preds {
		set, err := s.Set(p)
		if err != nil {
			return nil, Function{}, err
		}
		rules = append(rules, Rule{set, i % 3})
	}
	f, err := s.FirstMatch(rules, 3)
	return s, f, err
}

func BenchmarkTable(b *testing.B) {
	for name, rules := range tables {
		for _, n := range []int{10, 100, 1000} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					s, _, err := buildTable(rules(n))
					if err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(float64(s.store.Nodes()), "nodes")
				}
			})
		}
	}
}

// BenchmarkCompare compares a table with itself after one rule has moved to
// its end.
func BenchmarkCompare(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				preds := tables["usual"](n)
				s, before, err := buildTable(preds)
				if err != nil {
					b.Fatal(err)
				}
				var rules []Rule
				for i, p := range preds {
					set, err := s.Set(p)
					if err != nil {
						b.Fatal(err)
					}
					rules = append(rules, Rule{set, i % 3})
				}
				after, err := s.FirstMatch(append(rules[1:], rules[0]), 3)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := s.Compare(before, after); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOneOfMany is a service of a large mesh: a vet or diff of ten
// thousand of them takes ten thousand times as long.
func BenchmarkOneOfMany(b *testing.B) {
	preds := tables["usual"](5)
	for b.Loop() {
		if _, _, err := buildTable(preds); err != nil {
			b.Fatal(err)
		}
	}
}
