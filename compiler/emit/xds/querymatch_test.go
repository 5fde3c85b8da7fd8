package xds

import (
	"math/rand/v2"
	"regexp"
	"testing"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// TestQueryPattern: on random targets the pattern holds where the condition
// does; the condition's own reading of the query is the oracle.
func TestQueryPattern(t *testing.T) {
	var conditions []model.NamedMatch
	for _, name := range []string{"a", "ab", "a&", "b="} {
		for _, kind := range []model.MatchKind{model.Exact, model.Prefix, model.Suffix, model.Contains} {
			for _, value := range []string{"a", "=", "ab", "a&b", "?"} {
				conditions = append(conditions, model.NamedMatch{Name: name, Kind: kind, Value: value})
			}
		}
		for _, value := range []string{"a*", "[^b]", ".*&.*", "a|b", "(?i)A+"} {
			conditions = append(conditions, model.NamedMatch{Name: name, Kind: model.Regex, Value: value})
		}
		conditions = append(conditions, model.NamedMatch{Name: name, Kind: model.Exact})
	}
	dice := rand.New(rand.NewPCG(1, 3))
	for _, n := range conditions {
		pattern, err := queryPattern(n)
		if err != nil {
			t.Fatal(err)
		}
		full := regexp.MustCompile(`\A(?:` + pattern + `)\z`)
		for range 3000 {
			r := answer.Request{Target: randomQuery(dice)}
			value, present := r.Query(n.Name)
			if got, want := full.MatchString(r.Target), reach.AcceptsValue(n, value, present); got != want {
				t.Fatalf("%v on %q: %s says %v, want %v", n, r.Target, pattern, got, want)
			}
		}
	}
}

func randomQuery(dice *rand.Rand) string {
	b := []byte("/")
	for range dice.IntN(10) {
		b = append(b, "?aaab&=&="[dice.IntN(9)])
	}
	return string(b)
}

// TestHostPattern: ports and case do not count.
func TestHostPattern(t *testing.T) {
	for _, c := range []struct {
		kind    model.MatchKind
		value   string
		yes, no []string
	}{
		{model.Exact, "a.test", []string{"a.test", "A.Test:80", "a.test:"}, []string{"b.a.test", "a.test.b", "axtest", "a.test:x"}},
		{model.Prefix, "a.", []string{"a.test", "A.b:80"}, []string{"ba.test", "a:80"}},
		{model.Suffix, "80", []string{"x80", "x80:1"}, []string{"a:80", "a:8080"}},
		{model.Contains, "8", []string{"a8b:1", "8"}, []string{"a:80"}},
		{model.Regex, "a.*0", []string{"a0", "ab0:1"}, []string{"a:80"}},
		{model.Regex, "a|b", []string{"a:1", "b"}, []string{"ab"}},
	} {
		pattern, err := hostPattern(model.NamedMatch{Kind: c.kind, Value: c.value})
		if err != nil {
			t.Fatal(err)
		}
		full := regexp.MustCompile(`\A(?:` + pattern + `)\z`)
		for _, host := range c.yes {
			if !full.MatchString(host) {
				t.Errorf("host %s %q does not take %q: %s", c.kind, c.value, host, pattern)
			}
		}
		for _, host := range c.no {
			if full.MatchString(host) {
				t.Errorf("host %s %q takes %q: %s", c.kind, c.value, host, pattern)
			}
		}
	}
}
