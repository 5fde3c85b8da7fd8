package reach

import (
	"strings"

	"github.com/meshc/meshc/compiler/model"
)

// lowerASCII folds the letters that Envoy folds: A to Z.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

func hasNoLetter(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' })
}

func positive(p model.PathMatch) model.PathMatch {
	p.Not = false
	return p
}

func sensitive(p model.PathMatch) model.PathMatch {
	p.IgnoreCase = false
	return p
}

// folded is what p accepts once every path is in lower case.
func folded(p model.PathMatch) model.PathMatch {
	p.IgnoreCase, p.Value = false, lowerASCII(p.Value)
	return p
}

// foldCovers: a takes letters of either case for the same, so it covers b if it
// covers what b accepts in lower case. Of an expression only the text that it
// begins with is known.
func foldCovers(a, b model.PathMatch) bool {
	if b.Kind == model.Regex {
		return a.Kind == model.Prefix && strings.HasPrefix(lowerASCII(literalPrefix(b.Value)), lowerASCII(a.Value))
	}
	return PathCovers(folded(a), folded(b))
}

// foldDisjoint: what differs in lower case differs.
func foldDisjoint(a, b model.PathMatch) bool {
	if a.Kind == model.Regex || b.Kind == model.Regex {
		x, y := lowerASCII(stem(a)), lowerASCII(stem(b))
		return !strings.HasPrefix(x, y) && !strings.HasPrefix(y, x)
	}
	return PathsDisjoint(folded(a), folded(b))
}
