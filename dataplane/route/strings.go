package route

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// CompileString gives the judge of a StringMatcher. An empty pattern of
// prefix, suffix or contains is refused by the proto's own rules.
func CompileString(m *matcherv3.StringMatcher) (func(string) bool, error) {
	fold := m.GetIgnoreCase()
	switch p := m.GetMatchPattern().(type) {
	case *matcherv3.StringMatcher_Exact:
		return exactMatch(p.Exact, fold), nil
	case *matcherv3.StringMatcher_Prefix:
		return prefixMatch(p.Prefix, fold), nil
	case *matcherv3.StringMatcher_Suffix:
		return suffixMatch(p.Suffix, fold), nil
	case *matcherv3.StringMatcher_Contains:
		return containsMatch(p.Contains, fold), nil
	case *matcherv3.StringMatcher_SafeRegex:
		if fold {
			return nil, errors.New("ignore_case with safe_regex is not supported (write (?i) in the expression)")
		}
		return regexMatch(p.SafeRegex.GetRegex())
	}
	return nil, errors.New("needs exact, prefix, suffix, contains or safe_regex")
}

func exactMatch(want string, fold bool) func(string) bool {
	if fold {
		return func(s string) bool { return equalFoldASCII(s, want) }
	}
	return func(s string) bool { return s == want }
}

func prefixMatch(want string, fold bool) func(string) bool {
	if fold {
		return func(s string) bool { return len(s) >= len(want) && equalFoldASCII(s[:len(want)], want) }
	}
	return func(s string) bool { return strings.HasPrefix(s, want) }
}

func suffixMatch(want string, fold bool) func(string) bool {
	if fold {
		return func(s string) bool { return len(s) >= len(want) && equalFoldASCII(s[len(s)-len(want):], want) }
	}
	return func(s string) bool { return strings.HasSuffix(s, want) }
}

func containsMatch(want string, fold bool) func(string) bool {
	if fold {
		return func(s string) bool { return containsFoldASCII(s, want) }
	}
	return func(s string) bool { return strings.Contains(s, want) }
}

// regexMatch compiles an RE2 expression that must match the whole string. The
// expression is compiled alone first: "a)(b" is no expression, though it
// becomes one inside the group. Envoy 1.40 has RE2 read Latin-1: every byte of
// the expression and of the value is one character.
func regexMatch(expr string) (func(string) bool, error) {
	expr = latin1(expr)
	if _, err := regexp.Compile(expr); err != nil {
		return nil, fmt.Errorf("safe_regex: %w", err)
	}
	re, err := regexp.Compile(`\A(?:` + expr + `)\z`)
	if err != nil {
		return nil, fmt.Errorf("safe_regex: %w", err)
	}
	return func(s string) bool { return re.MatchString(latin1(s)) }, nil
}

// latin1 writes bytes as the characters U+0000 to U+00FF, for a matcher that
// reads UTF-8. ASCII, which nearly all values are, stays as it is.
func latin1(s string) string {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return decodeLatin1(s)
		}
	}
	return s
}

func decodeLatin1(s string) string {
	out := make([]rune, len(s))
	for i := range len(s) {
		out[i] = rune(s[i])
	}
	return string(out)
}
