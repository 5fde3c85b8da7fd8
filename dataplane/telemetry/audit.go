package telemetry

import (
	"errors"
	"fmt"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
)

// Who notes which shadow policy holds, as Envoy's filters do: of requests, and of
// connections.
const (
	auditNoted   = "envoy.filters.http.rbac"
	auditNetwork = "envoy.filters.network.rbac"
	auditPolicy  = "audit_shadow_effective_policy_id"
	auditResult  = "audit_shadow_engine_result"
)

// auditOperator is DYNAMIC_METADATA of the policy of shadow rules that holds.
func auditOperator(op, arg string, limit int) (piece, error) {
	if arg != auditNoted+":"+auditPolicy && arg != auditNetwork+":"+auditPolicy {
		return piece{}, fmt.Errorf("operator %%%s%%: only %s:%s is supported", op, auditNoted, auditPolicy)
	}
	ofRequests := arg == auditNoted+":"+auditPolicy
	return piece{value: func(dst []byte, r *Record) ([]byte, bool) {
		v := r.Audited
		if ofRequests == r.Opaque || v == "" {
			return dst, false
		}
		if limit > 0 && len(v) > limit {
			v = v[:limit]
		}
		return appendEscaped(dst, v), true
	}}, nil
}

// auditFilter takes records for which a shadow policy holds. No other metadata is
// known here.
func auditFilter(f *accesslogv3.MetadataFilter) (Filter, error) {
	m := f.GetMatcher()
	path := m.GetPath()
	switch {
	case m.GetFilter() != auditNoted && m.GetFilter() != auditNetwork || len(path) != 1 || path[0].GetKey() != auditResult || m.GetInvert():
		return nil, fmt.Errorf("filter: metadata_filter: only %s:%s is supported", auditNoted, auditResult)
	case m.GetValue().GetStringMatch().GetExact() != "allowed" || m.GetValue().GetStringMatch().GetIgnoreCase():
		return nil, errors.New("filter: metadata_filter: value: only \"allowed\" is supported")
	case f.GetMatchIfKeyNotFound() == nil || f.GetMatchIfKeyNotFound().GetValue():
		return nil, errors.New("filter: metadata_filter: match_if_key_not_found must be false")
	}
	ofRequests := m.GetFilter() == auditNoted
	return func(r *Record, _ func() uint64) bool { return ofRequests != r.Opaque && r.Audited != "" }, nil
}
