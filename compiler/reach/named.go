package reach

import (
	"slices"
	"strings"

	literals "github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
)

// AcceptsValue says whether c accepts a value, or its absence. A missing value
// satisfies only Absent and a negated condition.
func AcceptsValue(c model.NamedMatch, value string, present bool) bool {
	switch {
	case c.Kind == model.Absent:
		return present == c.Not
	case c.Kind == model.Present:
		return present != c.Not
	case !present:
		return c.Not
	}
	return acceptsText(c.Kind, c.Value, value) != c.Not
}

func acceptsText(kind model.MatchKind, want, value string) bool {
	switch kind {
	case model.Exact:
		return value == want
	case model.Prefix:
		return strings.HasPrefix(value, want)
	case model.Suffix:
		return strings.HasSuffix(value, want)
	case model.Contains:
		return strings.Contains(value, want)
	case model.Regex:
		return AcceptsRegex(want, value)
	case model.Range:
		return literals.InRange(want, value)
	}
	return false
}

// ValueCovers says that whatever value (or absence) b accepts, a accepts too.
// Both are about one name.
func ValueCovers(a, b model.NamedMatch) bool {
	a, b = plain(a), plain(b)
	switch {
	case a == b:
		return true
	case b.Kind == model.Absent:
		return AcceptsValue(a, "", false)
	case b.Kind == model.Exact && !b.Not:
		return AcceptsValue(a, b.Value, true)
	case a.Kind == model.Absent:
		return false
	case a.Kind == model.Present:
		return !b.Not
	case a.Not && b.Not:
		return ValueCovers(negate(b), negate(a))
	case a.Not:
		return ValuesDisjoint(negate(a), b)
	case b.Not || b.Kind == model.Present:
		return false
	}
	return textCovers(a, b)
}

// textCovers compares two positive conditions on text.
func textCovers(a, b model.NamedMatch) bool {
	if b.Kind == model.Regex {
		return a.Kind == model.Prefix && strings.HasPrefix(literalPrefix(b.Value), a.Value)
	}
	switch a.Kind {
	case model.Prefix, model.Suffix:
		return a.Kind == b.Kind && acceptsText(a.Kind, a.Value, b.Value)
	case model.Contains:
		return strings.Contains(b.Value, a.Value) && b.Kind != model.Present
	}
	return false
}

// ValuesDisjoint says that no value, nor absence, is accepted by both.
func ValuesDisjoint(a, b model.NamedMatch) bool {
	a, b = plain(a), plain(b)
	switch {
	case a.Kind == model.Absent:
		return !AcceptsValue(b, "", false)
	case b.Kind == model.Absent:
		return !AcceptsValue(a, "", false)
	case a.Kind == model.Exact && !a.Not:
		return !AcceptsValue(b, a.Value, true)
	case b.Kind == model.Exact && !b.Not:
		return !AcceptsValue(a, b.Value, true)
	case a.Not && b.Not:
		return false // both accept absence
	case a.Not:
		return ValueCovers(negate(a), b)
	case b.Not:
		return ValueCovers(negate(b), a)
	case a.Kind == b.Kind && a.Kind == model.Suffix:
		return !strings.HasSuffix(a.Value, b.Value) && !strings.HasSuffix(b.Value, a.Value)
	}
	x, okX := valueStem(a)
	y, okY := valueStem(b)
	return okX && okY && !strings.HasPrefix(x, y) && !strings.HasPrefix(y, x)
}

// valueStem is what every value that c accepts begins with, if that is known.
func valueStem(c model.NamedMatch) (string, bool) {
	switch c.Kind {
	case model.Prefix:
		return c.Value, true
	case model.Regex:
		return literalPrefix(c.Value), true
	}
	return "", false
}

// plain writes a negated presence as the other presence.
func plain(c model.NamedMatch) model.NamedMatch {
	switch {
	case c.Kind == model.Present && c.Not:
		return model.NamedMatch{Name: c.Name, Kind: model.Absent, Yields: c.Yields}
	case c.Kind == model.Absent && c.Not:
		return model.NamedMatch{Name: c.Name, Kind: model.Present, Yields: c.Yields}
	}
	return c
}

func negate(c model.NamedMatch) model.NamedMatch {
	c.Not = !c.Not
	return c
}

// relation compares two conditions on one name.
type relation func(a, b model.NamedMatch) bool

// eachCovers says that every condition of as covers one of bs of its name.
func eachCovers(as, bs []model.NamedMatch, covers relation) bool {
	for _, a := range as {
		if !slices.ContainsFunc(bs, func(b model.NamedMatch) bool { return a.Name == b.Name && covers(a, b) }) {
			return false
		}
	}
	return true
}

// anyDisjoint says that some condition of as excludes one of bs.
func anyDisjoint(as, bs []model.NamedMatch, disjoint relation) bool {
	for _, a := range as {
		if slices.ContainsFunc(bs, func(b model.NamedMatch) bool { return a.Name == b.Name && disjoint(a, b) }) {
			return true
		}
	}
	return false
}
