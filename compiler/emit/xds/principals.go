package xds

import (
	"fmt"
	"net/netip"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/model"
)

// principals are any-of: who a rule is about.
func (e *emitter) principals(r *model.Rule) ([]*rbacv3.Principal, error) {
	who := e.identities(r)
	if !r.Any && len(who) == 0 {
		return nil, fmt.Errorf("it names no caller")
	}
	var all []*rbacv3.Principal
	if !r.Any {
		all = append(all, eitherOf(who))
	}
	if len(r.NotPrincipals) > 0 {
		all = append(all, not(eitherOf(authenticatedAs(r.NotPrincipals))))
	}
	if len(r.Namespaces) > 0 {
		var in []*rbacv3.Principal
		for _, ns := range r.Namespaces {
			in = append(in, authenticated(startsWith(model.NamespaceID(e.mesh.TrustDomain, ns))))
		}
		all = append(all, eitherOf(in))
	}
	addresses, err := addressPrincipals(r)
	if err != nil {
		return nil, err
	}
	all = append(all, addresses...)
	switch {
	case len(all) == 0:
		return []*rbacv3.Principal{{Identifier: &rbacv3.Principal_Any{Any: true}}}, nil
	case len(all) == 1 && len(who) > 0:
		return who, nil
	case len(all) == 1:
		return all, nil
	}
	return []*rbacv3.Principal{{Identifier: &rbacv3.Principal_AndIds{AndIds: &rbacv3.Principal_Set{Ids: all}}}}, nil
}

// identities are the callers that a rule names; none when it names nobody.
func (e *emitter) identities(r *model.Rule) []*rbacv3.Principal {
	if r.Authenticated {
		return []*rbacv3.Principal{authenticated(startsWith("spiffe://" + e.mesh.TrustDomain + "/"))}
	}
	return authenticatedAs(r.Principals)
}

func authenticatedAs(ids []string) []*rbacv3.Principal {
	var out []*rbacv3.Principal
	for _, id := range ids {
		out = append(out, authenticated(exactly(id)))
	}
	return out
}

func authenticated(name *matcherv3.StringMatcher) *rbacv3.Principal {
	return &rbacv3.Principal{Identifier: &rbacv3.Principal_Authenticated_{
		Authenticated: &rbacv3.Principal_Authenticated{PrincipalName: name},
	}}
}

// addressPrincipals look at the connection's other end, which no header can
// pretend to be.
func addressPrincipals(r *model.Rule) ([]*rbacv3.Principal, error) {
	var out []*rbacv3.Principal
	if len(r.IPs) > 0 {
		in, err := fromNetworks(r.IPs)
		if err != nil {
			return nil, err
		}
		out = append(out, in)
	}
	if len(r.NotIPs) > 0 {
		in, err := fromNetworks(r.NotIPs)
		if err != nil {
			return nil, err
		}
		out = append(out, not(in))
	}
	return out, nil
}

func fromNetworks(list []string) (*rbacv3.Principal, error) {
	var out []*rbacv3.Principal
	ranges, err := cidrRanges(list)
	if err != nil {
		return nil, err
	}
	for _, r := range ranges {
		out = append(out, &rbacv3.Principal{Identifier: &rbacv3.Principal_DirectRemoteIp{DirectRemoteIp: r}})
	}
	return eitherOf(out), nil
}

func cidrRanges(networks []string) ([]*corev3.CidrRange, error) {
	var out []*corev3.CidrRange
	for _, n := range networks {
		p, err := netip.ParsePrefix(n)
		if err != nil {
			return nil, fmt.Errorf("network: %w", err)
		}
		out = append(out, &corev3.CidrRange{AddressPrefix: p.Addr().String(), PrefixLen: wrapperspb.UInt32(uint32(p.Bits()))})
	}
	return out, nil
}

func eitherOf(list []*rbacv3.Principal) *rbacv3.Principal {
	if len(list) == 1 {
		return list[0]
	}
	return &rbacv3.Principal{Identifier: &rbacv3.Principal_OrIds{OrIds: &rbacv3.Principal_Set{Ids: list}}}
}

func not(p *rbacv3.Principal) *rbacv3.Principal {
	return &rbacv3.Principal{Identifier: &rbacv3.Principal_NotId{NotId: p}}
}
