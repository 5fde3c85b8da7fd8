package automaton

import (
	"regexp"
	"testing"
)

func TestReplaced(t *testing.T) {
	budget := &Budget{Steps: 1 << 20, States: 1 << 10}
	dfa := func(expr string) *DFA {
		d, err := Regex(expr, budget)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	rests := []string{"", "/", "/x", "x", "new", "/b/c", "a", "ab", "aab"}
	for _, expr := range []string{"/new", "/new/.*", "/n.*x", "/(new|old)/x", "/new.*", "(/new)*a*b?", "", "/newa*b"} {
		whole := regexp.MustCompile("^(?:" + expr + ")$")
		for _, put := range []string{"/new", "", "/n", "/new/", "z"} {
			d := Replaced(dfa("/[oO]l."), put, dfa(expr))
			for _, cut := range []string{"/old", "/Old", "/ol!", "/new", "/ol"} {
				for _, rest := range rests {
					want := regexp.MustCompile("^/[oO]l.").MatchString(cut+rest) && whole.MatchString(put+(cut + rest)[min(4, len(cut+rest)):])
					if got := d.Accepts(cut + rest); got != want {
						t.Errorf("%q of %q with %q put: %v", expr, cut+rest, put, got)
					}
				}
			}
		}
	}
}
