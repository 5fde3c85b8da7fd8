package reach

import (
	"testing"

	"pgregory.net/rapid"

	literals "github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
)

func TestNumbersOf(t *testing.T) {
	for _, c := range []struct {
		kind  model.MatchKind
		value string
		want  Numbers
	}{
		{model.Present, "", EveryNumber}, {model.Absent, "", EveryNumber},
		{model.Exact, "7", OneNumber}, {model.Exact, "7.0", NoNumber}, {model.Exact, "seven", NoNumber}, {model.Exact, "", NoNumber},
		{model.Prefix, "team-", NoNumber}, {model.Prefix, "-", SomeNumbers}, {model.Prefix, "1", SomeNumbers}, {model.Prefix, "00", NoNumber},
		{model.Suffix, "@shop.example", NoNumber}, {model.Suffix, "0", SomeNumbers}, {model.Suffix, ".", NoNumber},
		{model.Contains, "e", NoNumber}, {model.Contains, ".", SomeNumbers}, {model.Contains, "..", NoNumber},
		{model.Regex, "read|write", NoNumber}, {model.Regex, ".*", EveryNumber}, {model.Regex, ".+", EveryNumber},
		{model.Regex, "[0-9]+", SomeNumbers}, {model.Regex, "[-0-9.]+", EveryNumber}, {model.Regex, "[1-3]", SomeNumbers}, {model.Regex, "", NoNumber},
	} {
		if got, err := NumbersOf(model.NamedMatch{Name: "one.c", Kind: c.kind, Value: c.value}); got != c.want || err != nil {
			t.Errorf("%s %q: %d, %v; want %d", c.kind, c.value, got, err, c.want)
		}
	}
}

// TestEveryNumberIsMatched: what is decided of everyNumber is decided of all
// texts of numbers.
func TestEveryNumberIsMatched(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if text := literals.FormatNumber(rapid.Float64().Draw(t, "n")); !AcceptsRegex(everyNumber, text) {
			t.Fatal(text)
		}
	})
}

func TestConditionsOnClaimsYield(t *testing.T) {
	c := model.NamedMatch{Name: "two.sub", Kind: model.Exact, Value: "bob", Yields: "one,more"}
	both, err := Overlap(OfClaim(c), HasToken("more"))
	if err != nil || both != nil {
		t.Errorf("%v, %v: a claim of a token that is not looked at", both, err)
	}
	c.Not = true
	if other, err := Uncovered(HasToken("one"), OfClaim(c)); err != nil || other != nil {
		t.Errorf("%v, %v: a condition is negated as a whole", other, err)
	}
}
