package xds

import (
	"cmp"
	"fmt"

	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/meshc/meshc/compiler/model"
)

func exactly(s string) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: s}}
}

func startsWith(s string) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: s}}
}

// regex matches the whole string by RE2, which is Envoy's only engine; the
// engine_type field is deprecated and left out. Envoy refuses an empty pattern.
func regex(pattern string) *matcherv3.RegexMatcher {
	return &matcherv3.RegexMatcher{Regex: cmp.Or(pattern, "(?:)")}
}

func matchesRegex(pattern string) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: regex(pattern)}}
}

// stringMatcher says a kind that looks at a value.
func stringMatcher(kind model.MatchKind, value string) (*matcherv3.StringMatcher, error) {
	switch kind {
	case model.Exact:
		return exactly(value), nil
	case model.Prefix:
		return startsWith(value), nil
	case model.Suffix:
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Suffix{Suffix: value}}, nil
	case model.Contains:
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Contains{Contains: value}}, nil
	case model.Regex:
		return matchesRegex(value), nil
	default:
		return nil, fmt.Errorf("match kind %q does not look at a value", kind)
	}
}

// normal rewrites a condition on a named value to one of few forms: an empty
// prefix, suffix or substring, which Envoy refuses, only asks for presence,
// and a negated presence is absence.
func normal(n model.NamedMatch) model.NamedMatch {
	switch n.Kind {
	case model.Prefix, model.Suffix, model.Contains:
		if n.Value == "" {
			n.Kind = model.Present
		}
	}
	if n.Not && n.Kind == model.Present {
		n.Kind, n.Not = model.Absent, false
	}
	if n.Not && n.Kind == model.Absent {
		n.Kind, n.Not = model.Present, false
	}
	return n
}
