package xds

import (
	"fmt"
	"math"
	"slices"

	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

func claimPermissions(r *model.Rule) ([]*rbacv3.Permission, error) {
	var out []*rbacv3.Permission
	for _, c := range r.Claims {
		m, not, err := claimMatcher(c)
		if err != nil {
			return nil, err
		}
		p := &rbacv3.Permission{Rule: &rbacv3.Permission_SourcedMetadata{SourcedMetadata: &rbacv3.SourcedMetadata{MetadataMatcher: m}}}
		if not {
			p = negated(p)
		}
		out = append(out, p)
	}
	return out, nil
}

// claimMatchers are those of a route.
func claimMatchers(claims []model.NamedMatch) ([]*matcherv3.MetadataMatcher, error) {
	var out []*matcherv3.MetadataMatcher
	for _, c := range claims {
		m, not, err := claimMatcher(c)
		if err != nil {
			return nil, err
		}
		m.Invert = not
		out = append(out, m)
	}
	return out, nil
}

// claimMatcher says a condition without its negation: Envoy keeps the claims of
// a verified token under the name of its provider. A value is a text, a truth or
// a number, or any of those of a list; Envoy's own present_match would hold for
// null, objects and empty lists too.
func claimMatcher(c model.NamedMatch) (m *matcherv3.MetadataMatcher, not bool, err error) {
	provider, claim := model.SplitClaim(c.Name)
	m = &matcherv3.MetadataMatcher{Filter: jwtFilter}
	for _, name := range append([]string{provider}, model.ClaimPath(claim)...) {
		m.Path = append(m.Path, &matcherv3.MetadataMatcher_PathSegment{Segment: &matcherv3.MetadataMatcher_PathSegment_Key{Key: name}})
	}
	plain := c
	plain.Not = false
	ways, err := claimValues(plain)
	if err != nil {
		return nil, false, fmt.Errorf("claim %q: %w", c.Name, err)
	}
	listed := &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_ListMatch{ListMatch: &matcherv3.ListMatcher{
		MatchPattern: &matcherv3.ListMatcher_OneOf{OneOf: eitherValue(ways)},
	}}}
	m.Value = eitherValue(append(slices.Clone(ways), listed))
	return m, c.Not != (c.Kind == model.Absent), nil
}

// claimValues are the values, lists aside, for which a condition on text holds.
func claimValues(c model.NamedMatch) ([]*matcherv3.ValueMatcher, error) {
	text := c
	if c.Kind == model.Present || c.Kind == model.Absent {
		text.Kind, text.Value = model.Regex, "(?s).*"
	}
	matches, err := stringMatcher(text.Kind, text.Value)
	if err != nil {
		return nil, err
	}
	ways := []*matcherv3.ValueMatcher{{MatchPattern: &matcherv3.ValueMatcher_StringMatch{StringMatch: matches}}}
	for _, truth := range []bool{false, true} {
		if reach.AcceptsValue(text, fmt.Sprint(truth), true) {
			ways = append(ways, &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_BoolMatch{BoolMatch: truth}})
		}
	}
	numbers, err := claimNumbers(c)
	if err == nil && numbers != nil {
		ways = append(ways, &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_DoubleMatch{DoubleMatch: numbers}})
	}
	return ways, err
}

// claimNumbers are the numbers for which a condition on text holds; nil for none.
func claimNumbers(c model.NamedMatch) (*matcherv3.DoubleMatcher, error) {
	which, err := reach.NumbersOf(c)
	switch {
	case err != nil || which == reach.NoNumber:
		return nil, err
	case which == reach.EveryNumber: // no JSON has infinity; the range ends before it
		return &matcherv3.DoubleMatcher{MatchPattern: &matcherv3.DoubleMatcher_Range{Range: &typev3.DoubleRange{Start: -math.MaxFloat64, End: math.Inf(1)}}}, nil
	case which == reach.OneNumber:
		n, _ := literal.Number(c.Value)
		return &matcherv3.DoubleMatcher{MatchPattern: &matcherv3.DoubleMatcher_Exact{Exact: n}}, nil
	}
	return nil, fmt.Errorf("%s %q holds for texts of some numbers, which proxies do not compare as text", c.Kind, c.Value)
}

func eitherValue(list []*matcherv3.ValueMatcher) *matcherv3.ValueMatcher {
	if len(list) == 1 {
		return list[0]
	}
	return &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_OrMatch{OrMatch: &matcherv3.OrMatcher{ValueMatchers: list}}}
}
