package xds

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshc/meshc/compiler/model"
)

// maxAlternatives bounds the routes that one match becomes: each negated
// header doubles them.
const maxAlternatives = 64

// routeMatches says an any-of list of matches: a request that one of the
// results accepts is accepted. No match at all accepts everything.
func routeMatches(any []model.Match) ([]*routev3.RouteMatch, error) {
	if len(any) == 0 {
		any = []model.Match{{}}
	}
	var out []*routev3.RouteMatch
	for i := range any {
		alternatives, err := alternatives(&any[i])
		if err != nil {
			return nil, err
		}
		out = append(out, alternatives...)
	}
	return out, nil
}

// alternatives says one match. It is more than one RouteMatch when a header
// condition is negated, because a missing header satisfies it and neither
// Envoy's nor grpc-go's invert_match lets it.
func alternatives(m *model.Match) ([]*routev3.RouteMatch, error) {
	base := &routev3.RouteMatch{}
	if err := setPath(base, m.Paths); err != nil {
		return nil, err
	}
	if len(m.Methods) > 0 {
		base.Headers = append(base.Headers, methodMatcher(m.Methods))
	}
	if len(m.NotMethods) > 0 {
		base.Headers = append(base.Headers, inverted(methodMatcher(m.NotMethods)))
	}
	for _, q := range m.Query {
		if err := addQuery(base, normal(q)); err != nil {
			return nil, err
		}
	}
	for _, c := range m.Cookies {
		matcher, err := cookieMatcher(normal(c))
		if err != nil {
			return nil, err
		}
		base.Cookies = append(base.Cookies, matcher)
	}
	var err error
	if base.DynamicMetadata, err = claimMatchers(m.Claims); err != nil {
		return nil, err
	}
	return withHeaders(base, m.Headers)
}

// withHeaders multiplies base by the ways in which each header condition can
// hold.
func withHeaders(base *routev3.RouteMatch, headers []model.NamedMatch) ([]*routev3.RouteMatch, error) {
	lists := [][]*routev3.HeaderMatcher{base.Headers}
	for _, h := range headers {
		ways, err := headerMatchers(normal(h))
		if err != nil {
			return nil, err
		}
		var next [][]*routev3.HeaderMatcher
		for _, list := range lists {
			for _, way := range ways {
				next = append(next, append(slices.Clone(list), way))
			}
		}
		if lists = next; len(lists) > maxAlternatives {
			return nil, fmt.Errorf("a match with %d header conditions negates too many of them: at most 6 can be", len(headers))
		}
	}
	out := make([]*routev3.RouteMatch, len(lists))
	for i, list := range lists {
		out[i] = &routev3.RouteMatch{
			PathSpecifier:   base.PathSpecifier,
			Headers:         list,
			CaseSensitive:   base.CaseSensitive,
			QueryParameters: base.QueryParameters,
			Cookies:         base.Cookies,
			DynamicMetadata: base.DynamicMetadata,
		}
	}
	return out, nil
}

// setPath says the first positive condition that is a regex, or else the first
// positive one, as path specifier and the others as conditions on :path. A
// pattern of the user's own fits the specifier best: Envoy itself cuts the query
// off there.
func setPath(out *routev3.RouteMatch, paths []model.PathMatch) error {
	first := slices.IndexFunc(paths, func(p model.PathMatch) bool { return p.Kind == model.Regex && !p.Not })
	if first < 0 {
		first = slices.IndexFunc(paths, func(p model.PathMatch) bool { return !p.Not })
	}
	if first < 0 {
		out.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: "/"}
	}
	for i, p := range paths {
		if i == first {
			if err := setSpecifier(out, p); err != nil {
				return err
			}
			continue
		}
		pattern, err := targetPattern(p)
		if err != nil {
			return fmt.Errorf("path regex %q: %w", p.Value, err)
		}
		matcher := header(":path", matchesRegex(pattern))
		matcher.InvertMatch = p.Not
		out.Headers = append(out.Headers, matcher)
	}
	return nil
}

func setSpecifier(out *routev3.RouteMatch, p model.PathMatch) error {
	if p.IgnoreCase && p.Kind != model.Regex {
		out.CaseSensitive = boolValue(false)
	}
	switch p.Kind {
	case model.Exact:
		out.PathSpecifier = &routev3.RouteMatch_Path{Path: p.Value}
	case model.Prefix:
		out.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: cmp.Or(p.Value, "/")}
	case model.SegmentPrefix:
		setSegmentPrefix(out, strings.TrimRight(p.Value, "/"))
	case model.Regex:
		out.PathSpecifier = &routev3.RouteMatch_SafeRegex{SafeRegex: regex(p.Value)}
	default:
		return fmt.Errorf("path match kind %q is not known", p.Kind)
	}
	return nil
}

// separatedPrefix is what Envoy takes as path_separated_prefix.
var separatedPrefix = regexp.MustCompile(`^[^?#]+[^?#/]$`)

func setSegmentPrefix(out *routev3.RouteMatch, prefix string) {
	switch {
	case prefix == "":
		out.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: "/"}
	case separatedPrefix.MatchString(prefix):
		out.PathSpecifier = &routev3.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: prefix}
	default:
		p := model.PathMatch{Kind: model.SegmentPrefix, Value: prefix, IgnoreCase: out.CaseSensitive != nil}
		out.CaseSensitive = nil // the pattern says it
		out.PathSpecifier = &routev3.RouteMatch_SafeRegex{SafeRegex: regex(pathPattern(p))}
	}
}
