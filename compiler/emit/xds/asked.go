package xds

import (
	"fmt"

	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	rbacfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/meshc/meshc/compiler/model"
)

// askedFilter is the name of the filter that notes which requests an authorizer
// is asked about, and askedPrefix begins what it notes.
const (
	askedFilter = "meshc.asked"
	askedPrefix = "asked_"
)

// askedFilters note which requests a is asked about; none where it is about all.
func askedFilters(a *model.Authorizer) ([]*hcmv3.HttpFilter, error) {
	if !a.Some() {
		return nil, nil
	}
	var all []*rbacv3.Permission
	if len(a.On) > 0 {
		on, err := anyRule(a.On)
		if err != nil {
			return nil, fmt.Errorf("authorizer: on: %w", err)
		}
		all = append(all, on)
	}
	if len(a.Except) > 0 {
		except, err := anyRule(a.Except)
		if err != nil {
			return nil, fmt.Errorf("authorizer: except: %w", err)
		}
		all = append(all, negated(except))
	}
	f, err := httpFilter(askedFilter, &rbacfilterv3.RBAC{
		ShadowRulesStatPrefix: askedPrefix,
		ShadowRules: shadow(map[string]*rbacv3.Policy{"asked": {
			Permissions: []*rbacv3.Permission{allOf(all)},
			Principals:  []*rbacv3.Principal{{Identifier: &rbacv3.Principal_Any{Any: true}}},
		}}),
	})
	if err != nil {
		return nil, err
	}
	return []*hcmv3.HttpFilter{f}, nil
}

// anyRule is what any of the rules asks of requests.
func anyRule(rules []model.Rule) (*rbacv3.Permission, error) {
	var out []*rbacv3.Permission
	for i := range rules {
		p, err := permission(&rules[i])
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return anyOf(out), nil
}
