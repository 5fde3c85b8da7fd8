package xds

import (
	"regexp"
	"regexp/syntax"
	"strings"

	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
)

// pathPattern says a path condition as RE2 over the path without its query.
func pathPattern(p model.PathMatch) string {
	quote := regexp.QuoteMeta
	if p.IgnoreCase {
		quote = literal.QuoteFold
	}
	quoted := quote(p.Value)
	switch p.Kind {
	case model.Prefix:
		return quoted + ".*"
	case model.SegmentPrefix:
		return quote(strings.TrimRight(p.Value, "/")) + "(?:/.*)?"
	case model.Regex:
		return "(?:" + p.Value + ")"
	default:
		return quoted
	}
}

// targetPattern says a path condition as RE2 over Envoy's :path header, which
// is the path and its query. The pattern must not reach over the '?': "/a.*b"
// does not accept "/a?b", so '?' is taken out of what it can match.
func targetPattern(p model.PathMatch) (string, error) {
	text, err := without(pathPattern(p), '?')
	if err != nil {
		return "", err
	}
	return "(?:" + text + `)(?:\?.*)?`, nil
}

// withoutRune changes tree so that it matches exactly those of its strings that
// do not have r.
func withoutRune(tree *syntax.Regexp, r rune) *syntax.Regexp {
	switch tree.Op {
	case syntax.OpLiteral:
		if strings.ContainsRune(string(tree.Rune), r) {
			return &syntax.Regexp{Op: syntax.OpNoMatch}
		}
	case syntax.OpAnyChar:
		return &syntax.Regexp{Op: syntax.OpCharClass, Rune: cutRune([]rune{0, 0x10FFFF}, r)}
	case syntax.OpAnyCharNotNL:
		return &syntax.Regexp{Op: syntax.OpCharClass, Rune: cutRune([]rune{0, '\n' - 1, '\n' + 1, 0x10FFFF}, r)}
	case syntax.OpCharClass:
		return &syntax.Regexp{Op: syntax.OpCharClass, Rune: cutRune(tree.Rune, r), Flags: tree.Flags}
	}
	for i := range tree.Sub {
		tree.Sub[i] = withoutRune(tree.Sub[i], r)
	}
	return tree
}

// cutRune takes r out of a class, a list of pairs lo, hi.
func cutRune(class []rune, r rune) []rune {
	out := make([]rune, 0, len(class)+2)
	for i := 0; i+1 < len(class); i += 2 {
		lo, hi := class[i], class[i+1]
		if r < lo || hi < r {
			out = append(out, lo, hi)
			continue
		}
		if lo < r {
			out = append(out, lo, r-1)
		}
		if r < hi {
			out = append(out, r+1, hi)
		}
	}
	return out
}
