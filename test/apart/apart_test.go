package apart_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/test/apart"
)

// verdict says which patterns match a text in full, by package regexp.
func verdict(patterns []string, text string) string {
	var out strings.Builder
	for _, p := range patterns {
		fmt.Fprint(&out, regexp.MustCompile(`\A(?:`+p+`)\z`).MatchString(text), " ")
	}
	return out.String()
}

func TestWordsAreAllThatCanBeToldApart(t *testing.T) {
	for _, c := range []struct {
		letters, domain string
		patterns        []string
		want            []string
	}{
		{"ab", "a*", nil, []string{""}},
		{"abc", "(?s).*", []string{"a"}, []string{"", "a"}},
		{"/abc", "/.*", []string{"/a.*", "/.*b"}, []string{"/", "/a", "/b", "/ab"}},
		{"xyz", "(?s).+", []string{"(?i)X"}, []string{"x", "y"}},
		{"ab-", "(?s).*", []string{`.*a\b.*`}, []string{"", "a"}},
		{"aXb", "(?s).*", []string{"^a$|^$"}, []string{"", "X"}},
	} {
		got, err := apart.Words(c.letters, c.domain, c.patterns...)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q in %s: %q, %v, want %q", c.patterns, c.domain, got, err, c.want)
		}
	}
	if _, err := apart.Words("ab", ".*", "("); err == nil {
		t.Error("no error for an expression that does not parse")
	}
}

// TestNoWordIsMissed: random texts, which are longer than any word, have verdicts
// that a word has.
func TestNoWordIsMissed(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	pieces := []string{"a", "b", "[ab]", "[^a]", ".", `\b`, "(?i:A)", "^", "$", "a*", "(ab|b)+", ".{0,3}", "b?", ".*"}
	for range 300 {
		var patterns []string
		for range 1 + rng.IntN(4) {
			p := ""
			for range 1 + rng.IntN(4) {
				p += pieces[rng.IntN(len(pieces))]
			}
			patterns = append(patterns, p)
		}
		const letters = "abA-éX"
		words, err := apart.Words(letters, "(?s).*", patterns...)
		if err != nil {
			t.Fatal(err)
		}
		known := map[string]bool{}
		for _, w := range words {
			v := verdict(patterns, w)
			if known[v] {
				t.Errorf("%q: two words of one verdict, %q is the second", patterns, w)
			}
			known[v] = true
		}
		for range 200 {
			text := ""
			for range rng.IntN(12) {
				text += string([]rune("abA-éXz_.")[rng.IntN(9)])
			}
			if !known[verdict(patterns, text)] {
				t.Fatalf("%q: nothing stands for %q among %q", patterns, text, words)
			}
		}
	}
}
