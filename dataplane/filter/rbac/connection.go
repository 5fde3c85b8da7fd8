package rbac

import (
	"errors"
	"fmt"

	configv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	networkv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/resource/support"
)

// SupportedNetwork lists the messages that DecodeNetwork understands beside those
// of Supported.
var SupportedNetwork = []support.Message{
	{Name: "envoy.extensions.filters.network.rbac.v3.RBAC", Fields: []support.Field{
		support.F("rules", "judged once, before anything is read of the connection; nothing of a request may be asked"),
		support.F("shadow_rules", "as of requests"),
		support.F("shadow_rules_stat_prefix", "\"audit_\" beside shadow_rules"),
		support.F("stat_prefix", "what is refused is counted by the TCP proxy behind"),
	}},
}

// Network judges connections, as envoy.filters.network.rbac does, but for the
// time: Envoy waits for the first byte of the client, by which a server that
// speaks first has said it all.
type Network struct{ config *Config }

// DecodeNetwork gives the filter of a config that passed support.Table.Check.
func DecodeNetwork(p *networkv3.RBAC) (*Network, error) {
	for _, rules := range []*configv3.RBAC{p.GetRules(), p.GetShadowRules()} {
		for name, policy := range rules.GetPolicies() {
			if readsRequests(policy) {
				return nil, fmt.Errorf("policy %q: %w", name, errRequest)
			}
		}
	}
	c, err := Decode(&rbacv3.RBAC{Rules: p.GetRules(), ShadowRules: p.GetShadowRules(), ShadowRulesStatPrefix: p.GetShadowRulesStatPrefix()})
	if err != nil {
		return nil, err
	}
	if c.asks {
		return nil, fmt.Errorf("shadow_rules_stat_prefix: %q is not supported, only %q", AskedPrefix, ShadowPrefix)
	}
	return &Network{c}, nil
}

var errRequest = errors.New("header and url_path are not supported: a connection is no request")

func readsRequests(p *configv3.Policy) bool {
	for _, r := range p.GetPermissions() {
		if permissionReads(r) {
			return true
		}
	}
	for _, id := range p.GetPrincipals() {
		if principalReads(id) {
			return true
		}
	}
	return false
}

func permissionReads(p *configv3.Permission) bool {
	if p == nil {
		return false
	}
	for _, r := range append(p.GetAndRules().GetRules(), p.GetOrRules().GetRules()...) {
		if permissionReads(r) {
			return true
		}
	}
	return p.GetHeader() != nil || p.GetUrlPath() != nil || permissionReads(p.GetNotRule())
}

func principalReads(p *configv3.Principal) bool {
	if p == nil {
		return false
	}
	for _, id := range append(p.GetAndIds().GetIds(), p.GetOrIds().GetIds()...) {
		if principalReads(id) {
			return true
		}
	}
	return p.GetHeader() != nil || p.GetUrlPath() != nil || principalReads(p.GetNotId())
}

// OnConnection implements filter.Network.
func (n *Network) OnConnection(c *filter.Connection) string {
	s := filter.Stream{Peer: c.Peer, Audited: c.Audited}
	v := n.config.judge(&s)
	c.Audited = s.Audited
	return v.Details
}
