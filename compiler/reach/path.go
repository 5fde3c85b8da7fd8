package reach

import (
	"regexp"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach/automaton"
)

// AcceptsPath says whether p accepts one path (without query).
func AcceptsPath(p model.PathMatch, path string) bool {
	if p.Not {
		return !AcceptsPath(positive(p), path)
	}
	if p.IgnoreCase && p.Kind != model.Regex {
		p.IgnoreCase = false
		p.Value, path = lowerASCII(p.Value), lowerASCII(path)
	}
	switch p.Kind {
	case model.Exact:
		return path == p.Value
	case model.Prefix:
		return strings.HasPrefix(path, p.Value)
	case model.SegmentPrefix:
		rest, ok := strings.CutPrefix(path, p.Value)
		return ok && (rest == "" || rest[0] == '/')
	case model.Regex:
		return AcceptsRegex(p.Value, path)
	}
	return false
}

// PathCovers says that whatever path b accepts, a accepts too.
func PathCovers(a, b model.PathMatch) bool {
	switch {
	case a == b:
		return true
	case a.Not && b.Not:
		return PathCovers(positive(b), positive(a))
	case a.Not:
		return PathsDisjoint(positive(a), b)
	case b.Not:
		return false
	case a.IgnoreCase:
		return foldCovers(a, b)
	case b.IgnoreCase:
		return a.Kind != model.Regex && hasNoLetter(a.Value) && foldCovers(a, b) ||
			hasNoLetter(b.Value) && PathCovers(a, sensitive(b))
	case b.Kind == model.Exact:
		return AcceptsPath(a, b.Value)
	case b.Kind == model.Regex:
		return a.Kind == model.Prefix && strings.HasPrefix(literalPrefix(b.Value), a.Value)
	case a.Kind == model.Prefix:
		return strings.HasPrefix(b.Value, a.Value)
	case a.Kind == model.SegmentPrefix && b.Kind == model.SegmentPrefix:
		return strings.HasPrefix(b.Value, a.Value+"/")
	case a.Kind == model.SegmentPrefix:
		return strings.HasPrefix(b.Value, a.Value+"/")
	}
	return false
}

// PathsDisjoint says that no path is accepted by both.
func PathsDisjoint(a, b model.PathMatch) bool {
	switch {
	case a.Not && b.Not:
		return false
	case a.Not:
		return PathCovers(positive(a), b)
	case b.Not:
		return PathCovers(positive(b), a)
	case a.IgnoreCase || b.IgnoreCase:
		return foldDisjoint(a, b)
	case a.Kind == model.Exact:
		return !AcceptsPath(b, a.Value)
	case b.Kind == model.Exact:
		return !AcceptsPath(a, b.Value)
	case a.Kind == model.Regex || b.Kind == model.Regex:
		x, y := stem(a), stem(b)
		return !strings.HasPrefix(x, y) && !strings.HasPrefix(y, x)
	}
	return !PathCovers(a, b) && !PathCovers(b, a)
}

// stem is what every path that p accepts begins with.
func stem(p model.PathMatch) string {
	if p.Kind == model.Regex {
		return literalPrefix(p.Value)
	}
	return p.Value
}

// literalPrefix is what every full match of expr begins with; "" when that is
// not known.
func literalPrefix(expr string) string { return prefixes.of(expr, prefixOf) }

func prefixOf(expr string) string {
	re, err := regexp.Compile(automaton.Latin1(expr))
	if err != nil {
		return ""
	}
	prefix, _ := re.LiteralPrefix()
	var out []byte
	for _, r := range prefix {
		if r > 0xff {
			return "" // no value has such a character
		}
		out = append(out, byte(r))
	}
	return string(out)
}

// MeetPaths gives the fewest conditions that say the same as all of ps
// together, sorted; ok is false when no path meets them all.
func MeetPaths(ps []model.PathMatch) (met []model.PathMatch, ok bool) {
	for i, p := range ps {
		for _, q := range ps[:i] {
			if PathsDisjoint(p, q) {
				return nil, false
			}
		}
	}
	for i, p := range ps {
		implied := slices.ContainsFunc(met, func(q model.PathMatch) bool { return PathCovers(p, q) })
		for _, q := range ps[i+1:] {
			implied = implied || p != q && PathCovers(p, q)
			implied = implied || p == q
		}
		if !implied {
			met = append(met, p)
		}
	}
	slices.SortFunc(met, ComparePaths)
	return met, true
}
