package lower

import (
	"math/rand/v2"
	"slices"
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
		got := l.countedBy(r, &reach.Allowance{})
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

// TestMatchesThatAddNothing: a match of a limit is reported when those before it
// take, together, all that it takes, and when no request meets it.
func TestMatchesThatAddNothing(t *testing.T) {
	path := func(kind, value string) *intent.Match {
		return &intent.Match{Path: &intent.PathMatch{Kind: intent.Value[string]{V: kind}, Value: intent.Value[string]{V: value}}}
	}
	narrow := path("regex", "/a[0-9]")
	narrow.Methods = []intent.Value[string]{{V: "GET"}}
	r := &intent.RateLimit{Match: []*intent.Match{path("regex", "/a[0-4]"), path("regex", "/a[5-9]"), narrow, path("regex", "/[^b]*b"), path("regex", "a")}}
	l := &lowering{}
	l.countedBy(r, &reach.Allowance{})
	var got []string
	for _, d := range l.diags {
		got = append(got, string(d.Code)+" "+d.Witness)
	}
	if want := []string{"MSH2041 GET /a0", "MSH2017 "}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
