package xds

import (
	"fmt"
	"strings"

	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	rbacfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/meshc/meshc/compiler/model"
)

// rbacHTTPFilter lets in what one of s.Allow lets in. An ALLOW list without
// policies refuses everybody, which is what no entry means.
func (e *emitter) rbacHTTPFilter(s *model.Service) (*hcmv3.HttpFilter, error) {
	rules := &rbacv3.RBAC{Action: rbacv3.RBAC_ALLOW, Policies: make(map[string]*rbacv3.Policy, len(s.Allow))}
	for i := range s.Allow {
		policy, err := e.policy(&s.Allow[i])
		if err != nil {
			return nil, fmt.Errorf("allow entry %d of %s: %w", i, s.Ref, err)
		}
		rules.Policies[fmt.Sprintf("allow-%04d", i)] = policy
	}
	return httpFilter(rbacFilter, &rbacfilterv3.RBAC{Rules: rules})
}

func (e *emitter) policy(a *model.Allow) (*rbacv3.Policy, error) {
	permission, err := permission(a)
	if err != nil {
		return nil, err
	}
	principals, err := e.principals(a)
	if err != nil {
		return nil, err
	}
	return &rbacv3.Policy{Permissions: []*rbacv3.Permission{permission}, Principals: principals}, nil
}

// principals are any-of.
func (e *emitter) principals(a *model.Allow) ([]*rbacv3.Principal, error) {
	switch {
	case a.Any:
		return []*rbacv3.Principal{{Identifier: &rbacv3.Principal_Any{Any: true}}}, nil
	case a.Authenticated:
		return []*rbacv3.Principal{authenticated(startsWith("spiffe://" + e.mesh.TrustDomain + "/"))}, nil
	case len(a.Principals) == 0:
		return nil, fmt.Errorf("it names no caller")
	}
	out := make([]*rbacv3.Principal, len(a.Principals))
	for i, id := range a.Principals {
		out[i] = authenticated(exactly(id))
	}
	return out, nil
}

func authenticated(name *matcherv3.StringMatcher) *rbacv3.Principal {
	return &rbacv3.Principal{Identifier: &rbacv3.Principal_Authenticated_{
		Authenticated: &rbacv3.Principal_Authenticated{PrincipalName: name},
	}}
}

// permission is one of the methods on one of the paths.
func permission(a *model.Allow) (*rbacv3.Permission, error) {
	var all []*rbacv3.Permission
	if len(a.Methods) > 0 {
		var methods []*rbacv3.Permission
		for _, m := range a.Methods {
			methods = append(methods, &rbacv3.Permission{Rule: &rbacv3.Permission_Header{Header: header(":method", exactly(m))}})
		}
		all = append(all, anyOf(methods))
	}
	if len(a.Paths) > 0 {
		var paths []*rbacv3.Permission
		for _, p := range a.Paths {
			matchers, err := urlPaths(p)
			if err != nil {
				return nil, err
			}
			for _, m := range matchers {
				paths = append(paths, urlPath(m))
			}
		}
		all = append(all, anyOf(paths))
	}
	switch len(all) {
	case 0:
		return &rbacv3.Permission{Rule: &rbacv3.Permission_Any{Any: true}}, nil
	case 1:
		return all[0], nil
	default:
		return &rbacv3.Permission{Rule: &rbacv3.Permission_AndRules{AndRules: &rbacv3.Permission_Set{Rules: all}}}, nil
	}
}

func anyOf(list []*rbacv3.Permission) *rbacv3.Permission {
	if len(list) == 1 {
		return list[0]
	}
	return &rbacv3.Permission{Rule: &rbacv3.Permission_OrRules{OrRules: &rbacv3.Permission_Set{Rules: list}}}
}

func urlPath(m *matcherv3.StringMatcher) *rbacv3.Permission {
	return &rbacv3.Permission{Rule: &rbacv3.Permission_UrlPath{UrlPath: &matcherv3.PathMatcher{
		Rule: &matcherv3.PathMatcher_Path{Path: m},
	}}}
}

// urlPaths gives the string conditions, any of which says p. Envoy compares
// them with the path without its query.
func urlPaths(p model.PathMatch) ([]*matcherv3.StringMatcher, error) {
	switch p.Kind {
	case model.Exact:
		return []*matcherv3.StringMatcher{exactly(p.Value)}, nil
	case model.Prefix:
		if p.Value == "" {
			return []*matcherv3.StringMatcher{startsWith("/")}, nil
		}
		return []*matcherv3.StringMatcher{startsWith(p.Value)}, nil
	case model.SegmentPrefix:
		segments := strings.TrimRight(p.Value, "/")
		if segments == "" {
			return []*matcherv3.StringMatcher{startsWith("/")}, nil
		}
		return []*matcherv3.StringMatcher{exactly(segments), startsWith(segments + "/")}, nil
	case model.Regex:
		return []*matcherv3.StringMatcher{matchesRegex(p.Value)}, nil
	default:
		return nil, fmt.Errorf("path match kind %q is not known", p.Kind)
	}
}
