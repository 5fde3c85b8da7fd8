package reach_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// alphabet and its words up to four letters are the brute-force oracle: every
// relation that reach claims must hold for all of them.
var words = allWords("/abA", 4)

func allWords(letters string, most int) []string {
	all := []string{""}
	for last := all; most > 0; most-- {
		var next []string
		for _, w := range last {
			for _, l := range letters {
				next = append(next, w+string(l))
			}
		}
		all, last = append(all, next...), next
	}
	return all
}

func drawPath(t *rapid.T, label string) model.PathMatch {
	kind := rapid.SampledFrom([]model.MatchKind{model.Exact, model.Prefix, model.SegmentPrefix, model.Regex}).Draw(t, label+"kind")
	value := "/" + rapid.SampledFrom(allWords("/abA", 3)).Draw(t, label)
	fold := kind != model.Regex && rapid.Bool().Draw(t, label+"fold")
	switch kind {
	case model.SegmentPrefix:
		value = "/a" + strings.TrimRight(value, "/")
	case model.Regex:
		value = rapid.SampledFrom([]string{"/a.*", "/[ab]", "/a(/b)?", ".*", "/(a|b)/?", "/b+", "(?i)/A"}).Draw(t, label+"re")
	}
	return model.PathMatch{Kind: kind, Value: value, IgnoreCase: fold, Not: rapid.IntRange(0, 3).Draw(t, label+"not") == 0}
}

func TestPathRelationsAreSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawPath(t, "a"), drawPath(t, "b")
		covers, disjoint := reach.PathCovers(a, b), reach.PathsDisjoint(a, b)
		met, ok := reach.MeetPaths([]model.PathMatch{a, b})
		for _, w := range words {
			path := "/" + w
			inA, inB := reach.AcceptsPath(a, path), reach.AcceptsPath(b, path)
			if covers && inB && !inA {
				t.Fatalf("%v covers %v, but not %q", a, b, path)
			}
			if disjoint && inA && inB {
				t.Fatalf("%v and %v are not disjoint: %q", a, b, path)
			}
			inMet := ok
			for _, m := range met {
				inMet = inMet && reach.AcceptsPath(m, path)
			}
			if inMet != (inA && inB) {
				t.Fatalf("%v meets %v = %v (%v), wrong for %q", a, b, met, ok, path)
			}
		}
	})
}

func TestPathRelationsAreCompleteWithoutRegex(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawPath(t, "a"), drawPath(t, "b")
		if a.Kind == model.Regex || b.Kind == model.Regex {
			t.Skip()
		}
		a.Not, b.Not, a.IgnoreCase, b.IgnoreCase = false, false, false, false
		met, ok := reach.MeetPaths([]model.PathMatch{a, b})
		if ok && len(met) != 1 {
			t.Fatalf("%v meets %v = %v, which one condition says", a, b, met)
		}
		if ok == reach.PathsDisjoint(a, b) {
			t.Fatalf("%v and %v: meet %v, disjoint %v", a, b, ok, !ok)
		}
	})
}

func drawNamed(t *rapid.T, label string) model.NamedMatch {
	kind := rapid.SampledFrom([]model.MatchKind{
		model.Exact, model.Prefix, model.Suffix, model.Contains, model.Regex, model.Present, model.Absent,
	}).Draw(t, label+"kind")
	c := model.NamedMatch{Name: "x", Kind: kind, Not: rapid.Bool().Draw(t, label+"not")}
	switch kind {
	case model.Regex:
		c.Value = rapid.SampledFrom([]string{"a.*", "[ab]+", "ab?", ".*b"}).Draw(t, label+"re")
	case model.Present, model.Absent:
	default:
		c.Value = rapid.SampledFrom(allWords("ab", 3)[1:]).Draw(t, label)
	}
	return c
}

func TestValueRelationsAreSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawNamed(t, "a"), drawNamed(t, "b")
		covers, disjoint := reach.ValueCovers(a, b), reach.ValuesDisjoint(a, b)
		for i := -1; i < len(words); i++ {
			value, present := "", i >= 0
			if present {
				value = words[i]
			}
			inA, inB := reach.AcceptsValue(a, value, present), reach.AcceptsValue(b, value, present)
			if covers && inB && !inA {
				t.Fatalf("%v covers %v, but not %q (present %v)", a, b, value, present)
			}
			if disjoint && inA && inB {
				t.Fatalf("%v and %v are not disjoint: %q (present %v)", a, b, value, present)
			}
		}
	})
}

func TestHeaderRelationsAreSound(t *testing.T) {
	lists := [][]string{nil}
	for _, v := range words {
		lists = append(lists, []string{v})
		for _, w := range words {
			lists = append(lists, []string{v, w})
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawNamed(t, "a"), drawNamed(t, "b")
		covers, disjoint := reach.HeaderCovers(a, b), reach.HeadersDisjoint(a, b)
		for _, values := range lists {
			inA, inB := reach.AcceptsHeader(a, values), reach.AcceptsHeader(b, values)
			if covers && inB && !inA {
				t.Fatalf("%v covers %v, but not %q", a, b, values)
			}
			if disjoint && inA && inB {
				t.Fatalf("%v and %v are not disjoint: %q", a, b, values)
			}
		}
	})
}

func TestHeaderRelationsKnowTheCommonCases(t *testing.T) {
	exact := model.NamedMatch{Name: "x", Kind: model.Exact, Value: "ab"}
	prefix := model.NamedMatch{Name: "x", Kind: model.Prefix, Value: "a"}
	notPrefix := prefix
	notPrefix.Not = true
	for name, holds := range map[string]bool{
		"a prefix covers a longer exact value":        reach.HeaderCovers(prefix, exact),
		"a negated prefix excludes the exact value":   reach.HeadersDisjoint(notPrefix, exact),
		"presence and absence are disjoint":           reach.HeadersDisjoint(model.NamedMatch{Name: "x", Kind: model.Present}, model.NamedMatch{Name: "x", Kind: model.Absent}),
		"two exact values may both be in one request": !reach.HeadersDisjoint(exact, model.NamedMatch{Name: "x", Kind: model.Exact, Value: "b"}),
	} {
		if !holds {
			t.Error("not known:", name)
		}
	}
}

func TestValueRelationsKnowTheCommonCases(t *testing.T) {
	exact := model.NamedMatch{Name: "x", Kind: model.Exact, Value: "ab"}
	prefix := model.NamedMatch{Name: "x", Kind: model.Prefix, Value: "a"}
	present, absent := model.NamedMatch{Name: "x", Kind: model.Present}, model.NamedMatch{Name: "x", Kind: model.Absent}
	notExact := exact
	notExact.Not = true
	for name, holds := range map[string]bool{
		"a prefix covers a longer exact value":       reach.ValueCovers(prefix, exact),
		"presence covers a prefix":                   reach.ValueCovers(present, prefix),
		"presence and absence are disjoint":          reach.ValuesDisjoint(present, absent),
		"a condition and its negation are disjoint":  reach.ValuesDisjoint(exact, notExact),
		"a negated condition covers absence":         reach.ValueCovers(notExact, absent),
		"two exact values are disjoint":              reach.ValuesDisjoint(exact, model.NamedMatch{Name: "x", Kind: model.Exact, Value: "b"}),
		"a negated exact covers another exact value": reach.ValueCovers(notExact, model.NamedMatch{Name: "x", Kind: model.Exact, Value: "b"}),
	} {
		if !holds {
			t.Error("not known:", name)
		}
	}
}

func TestRegexMatchesTheWholeValueByteByByte(t *testing.T) {
	for _, c := range []struct {
		expr, s string
		want    bool
	}{
		{"a|ab", "ab", true}, {"a", "ab", false}, {"x.y", "x\xffy", true}, {"x.y", "xéy", false}, {"(?i)A", "a", true}, {"a)(b", "ab", false},
	} {
		if got := reach.AcceptsRegex(c.expr, c.s); got != c.want {
			t.Errorf("AcceptsRegex(%q, %q) = %v", c.expr, c.s, got)
		}
	}
}

func TestMeet(t *testing.T) {
	a := model.Match{
		Paths: []model.PathMatch{{Kind: model.Prefix, Value: "/api"}}, Methods: []string{"GET", "PUT"},
		Headers: []model.NamedMatch{{Name: "x", Kind: model.Present}},
	}
	b := model.Match{
		Paths: []model.PathMatch{{Kind: model.Exact, Value: "/api/v1"}}, Methods: []string{"POST", "PUT"},
		Headers: []model.NamedMatch{{Name: "x", Kind: model.Exact, Value: "1"}},
	}
	met, ok := reach.Meet(a, b)
	if !ok || len(met.Paths) != 1 || met.Paths[0].Kind != model.Exact || len(met.Methods) != 1 || met.Methods[0] != "PUT" || len(met.Headers) != 2 {
		t.Fatalf("Meet = %+v, %v", met, ok)
	}
	b.Methods = []string{"DELETE"}
	if met, ok := reach.Meet(a, b); ok {
		t.Fatalf("methods exclude each other, but Meet = %+v", met)
	}
	if reach.Covers(a, met) && !reach.Covers(met, met) {
		t.Fatal("a match must cover itself")
	}
}

// Three methods stand for all: two that lists name and one that none does.
func TestMethodRelationsAreExact(t *testing.T) {
	draw := func(t *rapid.T, label string) model.Match {
		list := rapid.SampledFrom([][]string{nil, {"GET"}, {"PUT"}, {"GET", "PUT"}}).Draw(t, label)
		if rapid.Bool().Draw(t, label+"not") {
			return model.Match{NotMethods: list}
		}
		return model.Match{Methods: list}
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw(t, "a"), draw(t, "b")
		covers, disjoint := true, true
		met, ok := reach.Meet(a, b)
		for _, method := range []string{"GET", "PUT", "PURGE"} {
			inA, inB := reach.AcceptsMethod(a, method), reach.AcceptsMethod(b, method)
			covers = covers && (inA || !inB)
			disjoint = disjoint && !(inA && inB)
			if inMet := ok && reach.AcceptsMethod(met, method); inMet != (inA && inB) {
				t.Fatalf("%v meets %v = %v, wrong for %s", a, b, met, method)
			}
		}
		if reach.Covers(a, b) != covers || reach.Disjoint(a, b) != disjoint {
			t.Fatalf("%v and %v: covers %v, disjoint %v", a, b, !covers, !disjoint)
		}
	})
}

func TestRangesHoldNumbersOnly(t *testing.T) {
	c := model.NamedMatch{Name: "x", Kind: model.Range, Value: "[-5,10)"}
	for value, want := range map[string]bool{"-5": true, "9": true, "+09": true, "10": false, "-6": false, "": false, "a": false, "9.0": false, "99999999999999999999": false} {
		if got := reach.AcceptsValue(c, value, true); got != want {
			t.Errorf("%v on %q: %v", c, value, got)
		}
	}
}
