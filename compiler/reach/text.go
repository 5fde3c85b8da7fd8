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

	cut, put string // of replacedShape
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
	networkShape
	replacedShape
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

// Replaced holds what begins with a match of cut, of which, with put in the place
// of that, expr matches the whole. All that cut matches has one length.
func Replaced(cut, put, expr string) Text {
	return Text{shape: replacedShape, value: expr, cut: cut, put: put}
}

// WithoutCase lets ASCII letters stand for each other's other case. It says
// nothing about AnyValue, Matching and Between.
func (t Text) WithoutCase() Text {
	switch t.shape {
	case anyShape, regexShape, betweenShape, networkShape, replacedShape:
		return t
	}
	t.fold = true
	return t
}

// shapes says how each shape is recognised, and its words. Literals that are
// looked for at an end of the value share a machine with others of their group;
// the others get one each.
var shapes = map[shape]struct {
	words string
	group group
	begin automaton.LiteralShape // of beginnings
	build func(Text, *automaton.Budget) (*automaton.DFA, error)
}{
	anyShape:           {words: "present", group: beginnings, begin: automaton.Start},
	exactShape:         {words: "exact", group: beginnings, begin: automaton.Whole},
	prefixShape:        {words: "prefix", group: beginnings, begin: automaton.Start},
	segmentPrefixShape: {words: "segmentPrefix", group: beginnings, begin: automaton.Segments},
	suffixShape:        {words: "suffix", group: endings},
	containsShape: {words: "contains", build: func(t Text, _ *automaton.Budget) (*automaton.DFA, error) {
		return automaton.Contains(t.value, t.fold), nil
	}},
	networkShape: {words: "in", group: beginnings, begin: automaton.Start},
	regexShape: {words: "regex", build: func(t Text, b *automaton.Budget) (*automaton.DFA, error) {
		return automaton.Regex(t.value, b)
	}},
	replacedShape: {words: "regex", build: func(t Text, b *automaton.Budget) (*automaton.DFA, error) {
		cut, err := automaton.Regex(t.cut, b)
		if err != nil {
			return nil, err
		}
		whole, err := automaton.Regex(t.value, b)
		if err != nil {
			return nil, err
		}
		return automaton.Replaced(cut, t.put, whole), nil
	}},
	betweenShape: {words: "from", build: func(t Text, b *automaton.Budget) (*automaton.DFA, error) {
		return automaton.Between(t.lo, t.hi, b)
	}},
}

type group uint8

const (
	alone group = iota
	beginnings
	endings
)

// machines gives what tells values of texts, by their numbers, apart.
func machines(texts []Text, b *automaton.Budget) ([]*automaton.Machine, error) {
	type sort struct {
		group group
		fold  bool
	}
	grouped := map[sort][]automaton.Literal{}
	var out []*automaton.Machine
	for i, t := range texts {
		s := shapes[t.shape]
		if s.group != alone {
			by := sort{s.group, t.fold}
			grouped[by] = append(grouped[by], automaton.Literal{Number: int32(i), Text: t.value, Shape: s.begin})
			continue
		}
		d, err := s.build(t, b)
		if err != nil {
			return nil, err
		}
		out = append(out, d.Machine(int32(i)))
	}
	for _, fold := range []bool{false, true} {
		if literals := grouped[sort{beginnings, fold}]; len(literals) > 0 {
			out = append(out, automaton.Beginnings(literals, fold))
		}
		if literals := grouped[sort{endings, fold}]; len(literals) > 0 {
			out = append(out, automaton.Endings(literals, fold))
		}
	}
	return out, nil
}

// String says t in the words of the language: `prefix "/a"`.
func (t Text) String() string {
	words := shapes[t.shape].words
	switch {
	case t.shape == anyShape:
		return words
	case t.shape == networkShape:
		return words + " " + networkOf(t.value).String()
	case t.shape == betweenShape:
		return fmt.Sprintf("%s %d to %d", words, t.lo, t.hi-1)
	case t.shape == replacedShape:
		return fmt.Sprintf("%s %q with %q for %s", words, t.value, t.put, t.cut)
	case t.fold:
		words += " (any case)"
	}
	return words + " " + strconv.Quote(t.value)
}
