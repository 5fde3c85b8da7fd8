package xds

import (
	"fmt"
	"regexp"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
)

func header(name string, m *matcherv3.StringMatcher) *routev3.HeaderMatcher {
	return &routev3.HeaderMatcher{
		Name:                 name,
		HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: m},
	}
}

func present(name string, invert bool) *routev3.HeaderMatcher {
	return &routev3.HeaderMatcher{
		Name:                 name,
		HeaderMatchSpecifier: &routev3.HeaderMatcher_PresentMatch{PresentMatch: true},
		InvertMatch:          invert,
	}
}

// methodMatcher takes any of the methods, of which there is at least one.
func methodMatcher(methods []string) *routev3.HeaderMatcher {
	if len(methods) == 1 {
		return header(":method", exactly(methods[0]))
	}
	quoted := make([]string, len(methods))
	for i, m := range methods {
		quoted[i] = regexp.QuoteMeta(m)
	}
	return header(":method", matchesRegex(strings.Join(quoted, "|")))
}

// headerMatchers gives the ways in which a normal condition can hold, of which
// one is enough.
func headerMatchers(n model.NamedMatch) ([]*routev3.HeaderMatcher, error) {
	switch n.Name {
	case model.HostHeader:
		return hostMatchers(n)
	case model.SchemeHeader:
		one := header(n.Name, exactly(n.Value))
		one.InvertMatch = n.Not
		return []*routev3.HeaderMatcher{one}, nil
	}
	switch n.Kind {
	case model.Present:
		return []*routev3.HeaderMatcher{present(n.Name, false)}, nil
	case model.Absent:
		return []*routev3.HeaderMatcher{present(n.Name, true)}, nil
	}
	one, err := headerMatcher(n)
	if err != nil {
		return nil, fmt.Errorf("header %q: %w", n.Name, err)
	}
	if !n.Not {
		return []*routev3.HeaderMatcher{one}, nil
	}
	one.InvertMatch = true
	return []*routev3.HeaderMatcher{one, present(n.Name, true)}, nil
}

// headerMatcher says the condition without its negation.
func headerMatcher(n model.NamedMatch) (*routev3.HeaderMatcher, error) {
	if n.Kind == model.Range {
		first, end, err := literal.Range(n.Value)
		if err != nil {
			return nil, err
		}
		return &routev3.HeaderMatcher{
			Name:                 n.Name,
			HeaderMatchSpecifier: &routev3.HeaderMatcher_RangeMatch{RangeMatch: &typev3.Int64Range{Start: first, End: end}},
		}, nil
	}
	value, err := stringMatcher(n.Kind, n.Value)
	if err != nil {
		return nil, err
	}
	return header(n.Name, value), nil
}

func inverted(m *routev3.HeaderMatcher) *routev3.HeaderMatcher {
	m.InvertMatch = true
	return m
}

// cookieMatcher: Envoy's matcher is false for a missing cookie before it is
// inverted, so that negation and absence need no second way.
func cookieMatcher(n model.NamedMatch) (*routev3.CookieMatcher, error) {
	switch n.Kind {
	case model.Present, model.Absent:
		return &routev3.CookieMatcher{Name: n.Name, StringMatch: matchesRegex(".*"), InvertMatch: n.Kind == model.Absent}, nil
	}
	value, err := stringMatcher(n.Kind, n.Value)
	if err != nil {
		return nil, fmt.Errorf("cookie %q: %w", n.Name, err)
	}
	return &routev3.CookieMatcher{Name: n.Name, StringMatch: value, InvertMatch: n.Not}, nil
}
