package rbac

import (
	"errors"
	"fmt"

	configv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/resource/support"
	"github.com/meshc/meshc/dataplane/route"
)

// Supported lists the messages that Decode understands.
var Supported = []support.Message{
	{Name: "envoy.extensions.filters.http.rbac.v3.RBAC", Fields: []support.Field{
		support.F("rules", "absent: the filter lets everything in"),
		support.F("shadow_rules", "action ALLOW; noted for the access log, and not counted"),
		support.F("shadow_rules_stat_prefix", "\"audit_\" or \"asked_\" beside shadow_rules"),
	}},
	{Name: "envoy.extensions.filters.http.rbac.v3.RBACPerRoute", Fields: []support.Field{
		support.F("rbac", "absent: switched off on this route"),
	}},
	{Name: "envoy.config.rbac.v3.RBAC", Fields: []support.Field{
		support.Only("action", "", "ALLOW", "DENY"), support.F("policies", ""),
	}},
	{Name: "envoy.config.rbac.v3.Policy", Fields: []support.Field{
		support.F("permissions", "any of"), support.F("principals", "any of"),
	}},
	{Name: "envoy.config.rbac.v3.Permission", Fields: []support.Field{
		support.F("any", ""), support.F("and_rules", ""), support.F("or_rules", ""), support.F("not_rule", ""),
		support.F("header", ""), support.F("url_path", ""), support.F("sourced_metadata", ""),
	}},
	{Name: "envoy.config.rbac.v3.SourcedMetadata", Fields: []support.Field{
		support.F("metadata_matcher", "of verified tokens"), support.Only("metadata_source", "", "DYNAMIC"),
	}},
	{Name: "envoy.config.rbac.v3.Permission.Set", Fields: []support.Field{support.F("rules", "")}},
	{Name: "envoy.config.rbac.v3.Principal", Fields: []support.Field{
		support.F("any", ""), support.F("and_ids", ""), support.F("or_ids", ""), support.F("not_id", ""),
		support.F("authenticated", ""), support.F("direct_remote_ip", "the other end of the connection"),
		support.F("remote_ip", "the client, as far as who passes it on is believed"), support.F("header", ""), support.F("url_path", ""),
	}},
	{Name: "envoy.config.core.v3.CidrRange", Fields: []support.Field{
		support.F("address_prefix", ""), support.F("prefix_len", "absent: 0"),
	}},
	{Name: "envoy.config.rbac.v3.Principal.Set", Fields: []support.Field{support.F("ids", "")}},
	{Name: "envoy.config.rbac.v3.Principal.Authenticated", Fields: []support.Field{
		support.F("principal_name", "the URI SAN of the verified client certificate; absent: any verified client"),
	}},
}

func permission(p *configv3.Permission) (judge, error) {
	switch rule := p.GetRule().(type) {
	case *configv3.Permission_Any:
		return constant(rule.Any), nil
	case *configv3.Permission_AndRules:
		return set(rule.AndRules.GetRules(), permission, allOf)
	case *configv3.Permission_OrRules:
		return set(rule.OrRules.GetRules(), permission, anyOf)
	case *configv3.Permission_NotRule:
		return negated(permission(rule.NotRule))
	case *configv3.Permission_Header:
		return header(rule.Header)
	case *configv3.Permission_UrlPath:
		return urlPath(rule.UrlPath)
	case *configv3.Permission_SourcedMetadata:
		return found(rule.SourcedMetadata)
	}
	return nil, errors.New("rule is not supported")
}

func principal(p *configv3.Principal) (judge, error) {
	switch id := p.GetIdentifier().(type) {
	case *configv3.Principal_Any:
		return constant(id.Any), nil
	case *configv3.Principal_AndIds:
		return set(id.AndIds.GetIds(), principal, allOf)
	case *configv3.Principal_OrIds:
		return set(id.OrIds.GetIds(), principal, anyOf)
	case *configv3.Principal_NotId:
		return negated(principal(id.NotId))
	case *configv3.Principal_Authenticated_:
		return authenticated(id.Authenticated)
	case *configv3.Principal_DirectRemoteIp:
		return network("direct_remote_ip", id.DirectRemoteIp, direct)
	case *configv3.Principal_RemoteIp:
		return network("remote_ip", id.RemoteIp, client)
	case *configv3.Principal_Header:
		return header(id.Header)
	case *configv3.Principal_UrlPath:
		return urlPath(id.UrlPath)
	}
	return nil, errors.New("identifier is not supported")
}

func constant(v bool) judge { return func(*filter.Stream) bool { return v } }

func set[P any](list []P, compile func(P) (judge, error), join func([]judge) judge) (judge, error) {
	judges, err := compileAll(list, compile)
	if err != nil {
		return nil, err
	}
	if len(judges) == 0 {
		return nil, errors.New("an empty set is not supported")
	}
	return join(judges), nil
}

func negated(j judge, err error) (judge, error) {
	if err != nil {
		return nil, err
	}
	return func(s *filter.Stream) bool { return !j(s) }, nil
}

func anyOf(list []judge) judge {
	return func(s *filter.Stream) bool {
		for _, j := range list {
			if j(s) {
				return true
			}
		}
		return false
	}
}

func allOf(list []judge) judge {
	return func(s *filter.Stream) bool {
		for _, j := range list {
			if !j(s) {
				return false
			}
		}
		return true
	}
}

// authenticated judges the verified peer. A client without a SPIFFE ID is
// nobody, even to a matcher that would accept the empty string.
func authenticated(a *configv3.Principal_Authenticated) (judge, error) {
	if a.GetPrincipalName() == nil {
		return func(s *filter.Stream) bool { return s.Peer.TLS && s.Peer.SPIFFEID != "" }, nil
	}
	name, err := route.CompileString(a.GetPrincipalName())
	if err != nil {
		return nil, fmt.Errorf("authenticated: principal_name: %w", err)
	}
	return func(s *filter.Stream) bool {
		return s.Peer.TLS && s.Peer.SPIFFEID != "" && name(s.Peer.SPIFFEID)
	}, nil
}

func header(m *routev3.HeaderMatcher) (judge, error) {
	matches, err := route.CompileHeader(m)
	if err != nil {
		return nil, err
	}
	return func(s *filter.Stream) bool { return matches(s.Request) }, nil
}

func found(m *configv3.SourcedMetadata) (judge, error) {
	matches, err := route.CompileMetadata(m.GetMetadataMatcher())
	if err != nil {
		return nil, fmt.Errorf("sourced_metadata: %w", err)
	}
	return func(s *filter.Stream) bool { return matches(s.Request) }, nil
}

func urlPath(m *matcherv3.PathMatcher) (judge, error) {
	matches, err := route.CompileString(m.GetPath())
	if err != nil {
		return nil, fmt.Errorf("url_path: %w", err)
	}
	return func(s *filter.Stream) bool { return matches(route.PathOf(s.Request)) }, nil
}
