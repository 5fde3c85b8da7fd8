package xds

import (
	"slices"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	rbacfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	networkrbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/meshc/meshc/compiler/model"
)

// auditFilter is the name of the filter that notes what is audited, and
// auditPrefix begins what it notes and counts.
const (
	auditFilter = "meshc.audit"
	auditPrefix = "audit_"
)

// auditMember is the member of a line of JSON that says which rule held.
const auditMember = "audit"

// What a filter with shadow rules notes under its own name, behind its prefix.
const (
	shadowPolicy = "shadow_effective_policy_id"
	shadowResult = "shadow_engine_result"
)

// shadow is what a filter judges and does not act on: it notes "allowed" for
// what a policy holds for, and else "denied".
func shadow(policies map[string]*rbacv3.Policy) *rbacv3.RBAC {
	return &rbacv3.RBAC{Action: rbacv3.RBAC_ALLOW, Policies: policies}
}

// auditFilters note what a rule holds for; none without a rule for the port.
func (e *emitter) auditFilters(rules []model.Rule, port uint16) ([]*hcmv3.HttpFilter, error) {
	noted, err := e.policies("audit", rules, port)
	if err != nil || len(noted) == 0 {
		return nil, err
	}
	f, err := httpFilter(auditFilter, &rbacfilterv3.RBAC{ShadowRules: shadow(noted), ShadowRulesStatPrefix: auditPrefix})
	if err != nil {
		return nil, err
	}
	return []*hcmv3.HttpFilter{f}, nil
}

// tcpAudit is what requests meet in auditFilters, for connections.
func (e *emitter) tcpAudit(name string, rules []model.Rule, port uint16) ([]*listenerv3.Filter, error) {
	noted, err := e.policies("audit", rules, port)
	if err != nil || len(noted) == 0 {
		return nil, err
	}
	f, err := networkFilter(auditFilter, &networkrbacv3.RBAC{StatPrefix: name + ".", ShadowRules: shadow(noted), ShadowRulesStatPrefix: auditPrefix})
	if err != nil {
		return nil, err
	}
	return []*listenerv3.Filter{f}, nil
}

// audits says that the workload's service or gateway has such rules.
func (e *emitter) audits() bool {
	if e.self.Role == model.RoleGateway {
		return len(e.mesh.Gateway(e.self.Service).Audit) > 0
	}
	return len(e.mesh.Service(e.self.Service).Audit) > 0
}

// withAudit adds the member that says which rule held to those of a line of JSON,
// unless the user says it; by is the filter whose rules they are.
func withAudit(fields []model.Header, by string) []model.Header {
	if len(fields) == 0 || slices.ContainsFunc(fields, func(f model.Header) bool { return f.Name == auditMember }) {
		return fields
	}
	return append(slices.Clone(fields), model.Header{Name: auditMember, Value: "%DYNAMIC_METADATA(" + by + ":" + auditPrefix + shadowPolicy + ")%"})
}

// auditedFilter takes what a rule held for.
func auditedFilter(by string) *accesslogv3.AccessLogFilter {
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_MetadataFilter{MetadataFilter: &accesslogv3.MetadataFilter{
		Matcher:            shadowAllowed(by, auditPrefix),
		MatchIfKeyNotFound: boolValue(false),
	}}}
}

// shadowAllowed holds for what shadow rules of that prefix hold for.
func shadowAllowed(by, prefix string) *matcherv3.MetadataMatcher {
	return &matcherv3.MetadataMatcher{
		Filter: by,
		Path:   []*matcherv3.MetadataMatcher_PathSegment{{Segment: &matcherv3.MetadataMatcher_PathSegment_Key{Key: prefix + shadowResult}}},
		Value:  &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_StringMatch{StringMatch: exactly("allowed")}},
	}
}
