package xds

import (
	"fmt"
	"strings"

	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	rbacfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/meshc/meshc/compiler/model"
)

// denyFilter is the name of the filter that refuses; rbacFilter lets in.
const denyFilter = "meshc.deny"

// denyFilters refuse what a rule holds for; none without a rule for the port.
func (e *emitter) denyFilters(rules []model.Rule, port uint16) ([]*hcmv3.HttpFilter, error) {
	refused, err := e.policies("deny", rules, port)
	if err != nil || len(refused) == 0 {
		return nil, err
	}
	f, err := httpFilter(denyFilter, &rbacfilterv3.RBAC{Rules: &rbacv3.RBAC{Action: rbacv3.RBAC_DENY, Policies: refused}})
	if err != nil {
		return nil, err
	}
	return []*hcmv3.HttpFilter{f}, nil
}

// allowFilter lets in what a rule holds for. An ALLOW list without policies
// refuses everybody, which is what no rule means.
func (e *emitter) allowFilter(rules []model.Rule, port uint16) (*hcmv3.HttpFilter, error) {
	taken, err := e.policies("allow", rules, port)
	if err != nil {
		return nil, err
	}
	return httpFilter(rbacFilter, &rbacfilterv3.RBAC{Rules: &rbacv3.RBAC{Action: rbacv3.RBAC_ALLOW, Policies: taken}})
}

// serverFilters judge what comes in on a port of a service: tokens come first,
// because all others may look at their claims; what is audited is so whatever the
// next ones do; who is asked comes before rules, as it does in Istio, so that what it lets in is still refused by `deny` and has to
// be let in by `allow`.
func (e *emitter) serverFilters(s *model.Service, port uint16) ([]*hcmv3.HttpFilter, error) {
	out, err := e.tokenFilters(s.JWT, s.Public, false)
	if err != nil {
		return nil, err
	}
	audit, err := e.auditFilters(s.Audit, port)
	if err != nil {
		return nil, err
	}
	out = append(out, audit...)
	asks, err := e.authorizerFilters(s.Authorizer)
	if err != nil {
		return nil, err
	}
	out = append(out, asks...)
	deny, err := e.denyFilters(s.Deny, port)
	if err != nil {
		return nil, err
	}
	out = append(out, deny...)
	allow, err := e.allowFilter(s.Allow, port)
	if err != nil {
		return nil, err
	}
	return append(out, allow), nil
}

// edgeFilters judge what clients of a gateway ask for on a port, in the order of
// serverFilters.
func (e *emitter) edgeFilters(g *model.Gateway, port uint16) ([]*hcmv3.HttpFilter, error) {
	out, err := e.tokenFilters(g.JWT, g.Public, routesByClaims(g, port))
	if err != nil {
		return nil, err
	}
	audit, err := e.auditFilters(g.Audit, port)
	if err != nil {
		return nil, err
	}
	out = append(out, audit...)
	asks, err := e.authorizerFilters(g.Authorizer)
	if err != nil {
		return nil, err
	}
	out = append(out, asks...)
	deny, err := e.denyFilters(g.Deny, port)
	if err != nil {
		return nil, err
	}
	if out = append(out, deny...); !g.AllowOnly {
		return out, nil
	}
	allow, err := e.allowFilter(g.Allow, port)
	if err != nil {
		return nil, err
	}
	return append(out, allow), nil
}

// policies gives those rules that are for a port, by a name that keeps their order.
func (e *emitter) policies(verb string, rules []model.Rule, port uint16) (map[string]*rbacv3.Policy, error) {
	out := make(map[string]*rbacv3.Policy, len(rules))
	for i := range rules {
		if !rules[i].On(port) {
			continue
		}
		policy, err := e.policy(&rules[i])
		if err != nil {
			return nil, fmt.Errorf("%s entry %d of %s: %w", verb, i, e.self.Service, err)
		}
		out[fmt.Sprintf("%s-%04d", verb, i)] = policy
	}
	return out, nil
}

func (e *emitter) policy(r *model.Rule) (*rbacv3.Policy, error) {
	permission, err := permission(r)
	if err != nil {
		return nil, err
	}
	principals, err := e.principals(r)
	if err != nil {
		return nil, err
	}
	return &rbacv3.Policy{Permissions: []*rbacv3.Permission{permission}, Principals: principals}, nil
}

// permission is what a rule asks of requests.
func permission(r *model.Rule) (*rbacv3.Permission, error) {
	var all []*rbacv3.Permission
	for _, part := range []func(*model.Rule) ([]*rbacv3.Permission, error){hostPermissions, methodPermissions, pathPermissions, headerPermissions, claimPermissions} {
		some, err := part(r)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return allOf(all), nil
}

func allOf(list []*rbacv3.Permission) *rbacv3.Permission {
	switch len(list) {
	case 0:
		return &rbacv3.Permission{Rule: &rbacv3.Permission_Any{Any: true}}
	case 1:
		return list[0]
	default:
		return &rbacv3.Permission{Rule: &rbacv3.Permission_AndRules{AndRules: &rbacv3.Permission_Set{Rules: list}}}
	}
}

func hostPermissions(r *model.Rule) ([]*rbacv3.Permission, error) {
	var out []*rbacv3.Permission
	if len(r.Hosts) > 0 {
		p, err := hostPermission(r.Hosts)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	if len(r.NotHosts) > 0 {
		p, err := hostPermission(r.NotHosts)
		if err != nil {
			return nil, err
		}
		out = append(out, negated(p))
	}
	return out, nil
}

func hostPermission(list []model.NamedMatch) (*rbacv3.Permission, error) {
	var hosts []*rbacv3.Permission
	for _, h := range list {
		ways, err := headerMatchers(h)
		if err != nil {
			return nil, err
		}
		hosts = append(hosts, headerPermission(ways))
	}
	return anyOf(hosts), nil
}

func methodPermissions(r *model.Rule) ([]*rbacv3.Permission, error) {
	var out []*rbacv3.Permission
	if len(r.Methods) > 0 {
		out = append(out, methodPermission(r.Methods))
	}
	if len(r.NotMethods) > 0 {
		out = append(out, negated(methodPermission(r.NotMethods)))
	}
	return out, nil
}

func methodPermission(methods []string) *rbacv3.Permission {
	var out []*rbacv3.Permission
	for _, m := range methods {
		out = append(out, &rbacv3.Permission{Rule: &rbacv3.Permission_Header{Header: header(":method", exactly(m))}})
	}
	return anyOf(out)
}

func pathPermissions(r *model.Rule) ([]*rbacv3.Permission, error) {
	var out []*rbacv3.Permission
	if len(r.Paths) > 0 {
		p, err := pathPermission(r.Paths)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	if len(r.NotPaths) > 0 {
		p, err := pathPermission(r.NotPaths)
		if err != nil {
			return nil, err
		}
		out = append(out, negated(p))
	}
	return out, nil
}

func pathPermission(list []model.PathMatch) (*rbacv3.Permission, error) {
	var paths []*rbacv3.Permission
	for _, p := range list {
		matchers, err := urlPaths(p)
		if err != nil {
			return nil, err
		}
		for _, m := range matchers {
			paths = append(paths, urlPath(m))
		}
	}
	return anyOf(paths), nil
}

func headerPermissions(r *model.Rule) ([]*rbacv3.Permission, error) {
	var out []*rbacv3.Permission
	for _, h := range r.Headers {
		ways, err := headerMatchers(normal(h))
		if err != nil {
			return nil, err
		}
		out = append(out, headerPermission(ways))
	}
	return out, nil
}

// headerPermission holds in any of the ways.
func headerPermission(ways []*routev3.HeaderMatcher) *rbacv3.Permission {
	var out []*rbacv3.Permission
	for _, w := range ways {
		out = append(out, &rbacv3.Permission{Rule: &rbacv3.Permission_Header{Header: w}})
	}
	return anyOf(out)
}

func negated(p *rbacv3.Permission) *rbacv3.Permission {
	return &rbacv3.Permission{Rule: &rbacv3.Permission_NotRule{NotRule: p}}
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
