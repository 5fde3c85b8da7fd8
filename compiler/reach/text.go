package reach

import (
	"fmt"
	"strconv"

	"github.com/meshc/meshc/compiler/reach/automaton"
)

// Text is a set of values of one coordinate. It is comparable: equal Texts are
// the same set. A new way to match is a new shape: a constructor, and a line in
// shapes.
type Text struct {
	shape  shape
	value  string
	lo, hi int64
	fold   bool
}

type shape uint8

const (
	anyShape shape = iota
	exactShape
	prefixShape
	segmentPrefixShape
	suffixShape
	containsShape
	regexShape
	betweenShape
)

// AnyValue holds every value, but not its absence.
func AnyValue() Text { return Text{} }

// Exactly holds s alone.
func Exactly(s string) Text { return Text{shape: exactShape, value: s} }

// BeginsWith holds what begins with s.
func BeginsWith(s string) Text { return Text{shape: prefixShape, value: s} }

// Below holds s itself, and what begins with s and a slash.
func Below(s string) Text { return Text{shape: segmentPrefixShape, value: s} }

// EndsWith holds what ends with s.
func EndsWith(s string) Text { return Text{shape: suffixShape, value: s} }

// Containing holds what s is a part of.
func Containing(s string) Text { return Text{shape: containsShape, value: s} }

// Matching holds what the RE2 expression matches in full.
func Matching(expr string) Text { return Text{shape: regexShape, value: expr} }

// Between holds decimal integers from lo up to, but not including, hi.
func Between(lo, hi int64) Text { return Text{shape: betweenShape, lo: lo, hi: hi} }

// WithoutCase lets ASCII letters stand for each other's other case. It says
// nothing about AnyValue, Matching and Between.
func (t Text) WithoutCase() Text {
	switch t.shape {
	case anyShape, regexShape, betweenShape:
		return t
	}
	t.fold = true
	return t
}

// shapes says how each shape becomes an automaton, and its words.
var shapes = map[shape]struct {
	words string
	build func(Text, *automaton.Budget) (*automaton.DFA, error)
}{
	anyShape:           {"present", func(Text, *automaton.Budget) (*automaton.DFA, error) { return automaton.All(), nil }},
	exactShape:         {"exact", literal(automaton.Exact)},
	prefixShape:        {"prefix", literal(automaton.Prefix)},
	segmentPrefixShape: {"segmentPrefix", literal(automaton.SegmentPrefix)},
	suffixShape:        {"suffix", literal(automaton.Suffix)},
	containsShape:      {"contains", literal(automaton.Contains)},
	regexShape: {"regex", func(t Text, b *automaton.Budget) (*automaton.DFA, error) {
		return automaton.Regex(t.value, b)
	}},
	betweenShape: {"from", func(t Text, b *automaton.Budget) (*automaton.DFA, error) {
		return automaton.Between(t.lo, t.hi, b)
	}},
}

func literal(build func(string, bool) *automaton.DFA) func(Text, *automaton.Budget) (*automaton.DFA, error) {
	return func(t Text, _ *automaton.Budget) (*automaton.DFA, error) { return build(t.value, t.fold), nil }
}

// String says t in the words of the language: `prefix "/a"`.
func (t Text) String() string {
	words := shapes[t.shape].words
	switch {
	case t.shape == anyShape:
		return words
	case t.shape == betweenShape:
		return fmt.Sprintf("%s %d to %d", words, t.lo, t.hi-1)
	case t.fold:
		words += " (any case)"
	}
	return words + " " + strconv.Quote(t.value)
}
