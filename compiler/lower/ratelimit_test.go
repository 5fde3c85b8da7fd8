package lower

import (
	"math/rand/v2"
	"testing"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/reach"
)

// TestCountedOnce: the matches of a limit are made disjoint, and together still
// take what was written.
func TestCountedOnce(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	text := func(v string) intent.Value[string] { return intent.Value[string]{V: v} }
	pick := func(list ...string) intent.Value[string] { return text(list[dice.IntN(len(list))]) }
	draw := func() *intent.Match {
		m := &intent.Match{}
		if dice.IntN(2) == 0 {
			m.Path = &intent.PathMatch{Kind: pick("exact", "prefix", "segmentPrefix"), Value: pick("/a", "/a/b", "/b")}
		}
		if dice.IntN(2) == 0 {
			m.Methods = []intent.Value[string]{pick("GET", "PUT")}
		}
		if dice.IntN(2) == 0 {
			m.Headers = []*intent.NamedMatch{{Name: pick("x", "y"), Kind: text("exact"), Value: pick("1", "2")}}
		}
		return m
	}
	for range 300 {
		r := &intent.RateLimit{Match: []*intent.Match{draw(), draw(), draw()}}
		l := &lowering{}
		got := l.countedBy(r)
		for i, a := range got {
			for _, b := range got[:i] {
				if !reach.Disjoint(a, b) {
					t.Fatalf("%v and %v share requests", a, b)
				}
			}
		}
		space, err := reach.New(reach.DefaultLimits, reach.OfMatches(matches(r.Match)), reach.OfMatches(got))
		if err != nil {
			t.Fatal(err)
		}
		want, err := space.Set(reach.OfMatches(matches(r.Match)))
		if err != nil {
			t.Fatal(err)
		}
		if set, err := space.Set(reach.OfMatches(got)); err != nil || set != want {
			t.Fatalf("%v does not take what %v does (%v)", got, matches(r.Match), err)
		}
	}
}
