package xds

import (
	"fmt"
	"slices"

	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

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
// a verified token under the name of its provider.
func claimMatcher(c model.NamedMatch) (m *matcherv3.MetadataMatcher, not bool, err error) {
	provider, claim := model.SplitClaim(c.Name)
	m = &matcherv3.MetadataMatcher{Filter: jwtFilter}
	for _, name := range append([]string{provider}, model.ClaimPath(claim)...) {
		m.Path = append(m.Path, &matcherv3.MetadataMatcher_PathSegment{Segment: &matcherv3.MetadataMatcher_PathSegment_Key{Key: name}})
	}
	switch c.Kind {
	case model.Present, model.Absent:
		m.Value = &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_PresentMatch{PresentMatch: true}}
		return m, c.Not != (c.Kind == model.Absent), nil
	}
	text, err := stringMatcher(c.Kind, c.Value)
	if err != nil {
		return nil, false, fmt.Errorf("claim %q: %w", c.Name, err)
	}
	ways := []*matcherv3.ValueMatcher{{MatchPattern: &matcherv3.ValueMatcher_StringMatch{StringMatch: text}}}
	plain := c
	plain.Not = false
	for _, truth := range []bool{false, true} {
		if reach.AcceptsValue(plain, fmt.Sprint(truth), true) {
			ways = append(ways, &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_BoolMatch{BoolMatch: truth}})
		}
	}
	listed := &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_ListMatch{ListMatch: &matcherv3.ListMatcher{
		MatchPattern: &matcherv3.ListMatcher_OneOf{OneOf: eitherValue(ways)},
	}}}
	m.Value = eitherValue(append(slices.Clone(ways), listed))
	return m, c.Not, nil
}

func eitherValue(list []*matcherv3.ValueMatcher) *matcherv3.ValueMatcher {
	if len(list) == 1 {
		return list[0]
	}
	return &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_OrMatch{OrMatch: &matcherv3.OrMatcher{ValueMatchers: list}}}
}
