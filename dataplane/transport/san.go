package transport

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// sanMatcher says whether a SPIFFE ID passes.
type sanMatcher func(id string) bool

// compileSAN takes matchers of type URI: a SPIFFE ID is in no other name.
func compileSAN(m *tlsv3.SubjectAltNameMatcher) (sanMatcher, error) {
	if err := allow(m, sanFields); err != nil {
		return nil, err
	}
	if m.GetSanType() != tlsv3.SubjectAltNameMatcher_URI {
		return nil, fmt.Errorf("san_type %s is not supported, only URI and, of servers, DNS are", m.GetSanType())
	}
	return compileString(m.GetMatcher())
}

func compileString(m *matcherv3.StringMatcher) (sanMatcher, error) {
	if m == nil {
		return nil, errors.New("matcher is missing")
	}
	if err := allow(m, matcherFields); err != nil {
		return nil, fmt.Errorf("matcher.%w", err)
	}
	fold := func(s string) string { return s }
	if m.GetIgnoreCase() {
		fold = strings.ToLower // ASCII: a SPIFFE ID has no other bytes
	}
	var with func(s, part string) bool
	var part string
	switch p := m.GetMatchPattern().(type) {
	case *matcherv3.StringMatcher_Exact:
		with, part = func(s, part string) bool { return s == part }, p.Exact
	case *matcherv3.StringMatcher_Prefix:
		with, part = strings.HasPrefix, p.Prefix
	case *matcherv3.StringMatcher_Suffix:
		with, part = strings.HasSuffix, p.Suffix
	case *matcherv3.StringMatcher_Contains:
		with, part = strings.Contains, p.Contains
	case *matcherv3.StringMatcher_SafeRegex:
		return compileRegex(p.SafeRegex, m.GetIgnoreCase())
	default:
		return nil, errors.New("matcher.match_pattern is missing")
	}
	if part == "" {
		return nil, errors.New("matcher.match_pattern is empty and would let every name pass or none")
	}
	part = fold(part)
	return func(id string) bool { return with(fold(id), part) }, nil
}

func compileRegex(m *matcherv3.RegexMatcher, ignoreCase bool) (sanMatcher, error) {
	if ignoreCase {
		return nil, errors.New("matcher.ignore_case has no effect on safe_regex")
	}
	if err := allow(m, regexFields); err != nil {
		return nil, fmt.Errorf("matcher.safe_regex.%w", err)
	}
	if m.GetRegex() == "" {
		return nil, errors.New("matcher.safe_regex.regex is empty")
	}
	// Alone first: "a)|(b" is no expression, but would be one in the brackets.
	if _, err := regexp.Compile(m.GetRegex()); err != nil {
		return nil, fmt.Errorf("matcher.safe_regex: %w", err)
	}
	re, err := regexp.Compile(`\A(?:` + m.GetRegex() + `)\z`) // Envoy matches the whole string
	if err != nil {
		return nil, fmt.Errorf("matcher.safe_regex: %w", err)
	}
	return re.MatchString, nil
}
