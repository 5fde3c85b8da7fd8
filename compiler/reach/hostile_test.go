package reach

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/model"
)

// hostile are rule sets made to blow up, one or more for every kind of
// coordinate and every shape of condition.
var hostile = map[string]func() []Pred{
	"products of expressions": func() []Pred {
		return repeat(20, func(i int) Pred { return Is(Dim{Kind: Path}, Matching(fmt.Sprintf(".*a.{%d}b.*", i+3))) })
	},
	"a huge expression": func() []Pred { return []Pred{Is(Dim{Kind: Path}, Matching(`.*a.{900}`))} },
	"unicode":           func() []Pred { return []Pred{Is(Dim{Header, "x"}, Matching(`(\pL{1,20}\PL){1,20}`))} },
	"substrings of one header": func() []Pred {
		return repeat(2000, func(i int) Pred { return Is(Dim{Header, "x"}, Containing(fmt.Sprintf("v%d", i))) })
	},
	"repetitions": func() []Pred {
		return repeat(12, func(i int) Pred {
			return Is(Dim{Kind: Path}, Matching(fmt.Sprintf("(/a{%d})*", []int{2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37}[i])))
		})
	},
	"thousands of rules": func() []Pred { return tables["usual"](5000) },
	"deep negations": func() []Pred {
		p := Is(Dim{Kind: Path}, BeginsWith("/a"))
		for i := range 2000 {
			p = Not(Any(p, All(Is(Dim{Header, fmt.Sprintf("x-%d", i%40)}, BeginsWith(fmt.Sprint(i))), Not(Is(Dim{Kind: Path}, Containing(fmt.Sprint(i)))))))
		}
		return []Pred{p}
	},
	"pairs far apart": func() []Pred {
		var first, second []Pred
		for i := range 60 {
			first = append(first, Is(Dim{Header, fmt.Sprintf("x-%d", i)}, Exactly("1")))
			second = append(second, Is(Dim{Header, fmt.Sprintf("y-%d", i)}, Exactly("1")))
		}
		out := []Pred{All(Any(first...), Any(second...))}
		for i := range first {
			out = append(out, All(first[i], second[i]))
		}
		return append(out, Any(out[1:]...))
	},
	"claims": func() []Pred { // lists of claims, each judged value by value, and tokens that others precede
		return repeat(400, func(i int) Pred {
			name := model.ClaimName(fmt.Sprintf("issuer-%d", i%7), fmt.Sprintf("/realm/%d", i%40))
			return All(
				OfClaim(model.NamedMatch{Name: name, Kind: model.Regex, Value: fmt.Sprintf("[a-z]*(admin|owner-%d)[a-z]*", i), Not: i%2 == 0}),
				OfClaim(model.NamedMatch{Name: model.ClaimName(fmt.Sprintf("issuer-%d", (i+1)%7), "sub"), Kind: model.Contains, Value: fmt.Sprint(i), Not: i%3 == 0}),
			)
		})
	},
	"addresses": func() []Pred { // networks inside networks of both families, with holes
		return repeat(3000, func(i int) Pred {
			four := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i % 251), byte(i / 7), byte(i)}), 8+i%25).Masked()
			six := netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(i), byte(i / 3), byte(i % 13), 15: byte(i)}), 32+i%97).Masked()
			return All(Any(Is(Dim{Kind: Address}, In(four)), Is(Dim{Kind: Through}, In(six))), Not(Is(Dim{Kind: Address}, In(netip.PrefixFrom(four.Addr(), 32)))))
		})
	},
	"cookies times query": func() []Pred {
		return repeat(300, func(i int) Pred {
			return All(
				Is(Dim{Cookie, fmt.Sprintf("c%d", i%30)}, Matching(fmt.Sprintf("(s%d|t)[0-9a-f]+", i))),
				Is(Dim{Query, fmt.Sprintf("q%d", i%30)}, Containing(fmt.Sprint("v", i))),
				Not(All(Is(Dim{Cookie, fmt.Sprintf("c%d", (i+11)%30)}, Exactly("1")), Is(Dim{Query, fmt.Sprintf("q%d", (i+17)%30)}, BeginsWith("x")))),
			)
		})
	},
	"lists of exceptions": func() []Pred { // rules without what every other one takes
		rule := func(i int) Pred {
			return All(Is(Dim{Kind: Path}, Below(fmt.Sprint("/t", i%50))), Is(Dim{Header, fmt.Sprint("x-", i%25)}, Exactly(strconv.Itoa(i))))
		}
		return repeat(200, func(i int) Pred {
			except := repeat(200, func(k int) Pred { return rule(i + k + 1) })
			return All(Is(Dim{Kind: Path}, BeginsWith("/t")), Not(Any(except...)))
		})
	},
	"calls of gRPC": func() []Pred { // thousands of methods by name, by service and by what they end with
		grpc := OfMatch(model.Match{Methods: []string{"POST"}, Headers: []model.NamedMatch{{Name: "content-type", Kind: model.Prefix, Value: "application/grpc"}}})
		return repeat(3000, func(i int) Pred {
			path := Exactly(fmt.Sprintf("/shop.v%d.Service%d/Get%d", i%5, i%300, i))
			switch i % 10 {
			case 0:
				path = Matching(fmt.Sprintf(`/[a-zA-Z0-9_.]+\.Service%d/[a-zA-Z0-9_]+`, i%300))
			case 1:
				path = Below(fmt.Sprintf("/shop.v%d.Service%d", i%5, i%300))
			case 2:
				path = EndsWith(fmt.Sprintf("/Get%d", i))
			}
			return All(grpc, Is(Dim{Kind: Path}, path))
		})
	},
	"ranges": func() []Pred { // that overlap, of several headers, one within the other
		return repeat(600, func(i int) Pred {
			d := Dim{Header, fmt.Sprint("x-version-", i%4)}
			return All(Is(d, Between(int64(i*3), int64(i*7+1000))), Not(Is(d, Between(int64(i*4), int64(i*4+i)))))
		})
	},
	"hosts with wildcards": func() []Pred {
		return repeat(5000, func(i int) Pred {
			pattern := fmt.Sprintf("svc-%d.team-%d.example.com", i, i%97)
			switch i % 4 {
			case 0:
				pattern = fmt.Sprintf("*.team-%d.example.com", i%97)
			case 1:
				pattern = fmt.Sprintf("*.region-%d.team-%d.example.com", i, i%97)
			}
			return All(OfHost(pattern), Is(Dim{Kind: Path}, Below(fmt.Sprint("/", i%13))))
		})
	},
	"identities": func() []Pred { // a policy of thousands of callers, with others taken out
		return repeat(2000, func(i int) Pred {
			return OfRule(&model.Rule{
				Principals:    []string{fmt.Sprintf("spiffe://td/ns/n%d/sa/s%d", i%100, i)},
				NotPrincipals: []string{fmt.Sprintf("spiffe://td/ns/n%d/sa/s%d", (i+1)%100, i+1)},
				Namespaces:    []string{fmt.Sprint("n", i%100), fmt.Sprint("n", i%7)},
				Aliases:       []string{"old", "older"}, NotMethods: []string{"DELETE", "PUT"},
				NotPaths: []model.PathMatch{{Kind: model.Regex, Value: fmt.Sprintf("/admin/%d(/.*)?", i)}}, Ports: []uint16{uint16(80 + i%9)},
			}, "td")
		})
	},
	"expressions without regard to case": func() []Pred {
		return repeat(40, func(i int) Pred {
			return Is(Dim{Kind: Path}, Matching(fmt.Sprintf("(/[a-z]+){%d}/x%d.*[0-9]{%d}", i+1, i, i+1)).WithoutCase())
		})
	},
	"everything at once": func() []Pred {
		var out []Pred
		for _, name := range slices.Sorted(maps.Keys(tables)) {
			out = append(out, tables[name](60)...)
		}
		return append(out, Not(Any(out...)), All(Not(out[0]), Any(out[1:]...)))
	},
}

// TestHostileRuleSetsEnd: whatever is asked of a rule set, an answer or an
// Unknown that names its place comes within ten seconds of a CPU, whatever else
// the machine does.
func TestHostileRuleSetsEnd(t *testing.T) {
	for name, rules := range hostile {
		t.Run(name, func(t *testing.T) {
			preds := rules()
			begin := cpuTime(t)
			what, err := answers(preds)
			took := (cpuTime(t) - begin).Round(time.Millisecond)
			var unknown *Unknown
			switch {
			case errors.As(err, &unknown):
				if unknown.Where == "" {
					t.Errorf("it does not say where: %v", err)
				}
				t.Logf("%d rules: %v after %v", len(preds), err, took)
			case err != nil:
				t.Fatal(err)
			default:
				t.Logf("%d rules: %s after %v", len(preds), what, took)
			}
			if took > 10*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// answers asks of a list of rules what vet, test, reach and diff ask: which
// rules are reached, with a request for each, and what another order changes.
func answers(preds []Pred) (string, error) {
	s, before, err := buildTable(preds)
	if err != nil {
		return "", err
	}
	var taken Set
	var rules []Rule
	reached := 0
	for i, p := range preds {
		accepts, err := s.Set(p)
		if err != nil {
			return "", err
		}
		left, err := s.Minus(accepts, taken)
		if err != nil {
			return "", err
		}
		if !left.Empty() {
			reached++
			if holds, ok := s.Holds(left, s.Witness(left)); !holds || !ok {
				return "", fmt.Errorf("the witness of rule %d is none", i)
			}
		}
		if taken, err = s.Union(taken, accepts); err != nil {
			return "", err
		}
		rules = append(rules, Rule{accepts, i % 3})
	}
	slices.Reverse(rules)
	after, err := s.FirstMatch(rules, 3)
	if err != nil {
		return "", err
	}
	regions, err := s.Compare(before, after)
	return fmt.Sprintf("%d reached, %d nodes, %d regions", reached, s.store.Nodes(), len(regions)), err
}

// cpuTime is what this process has taken.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
