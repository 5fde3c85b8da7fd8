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
		all = append(all, not(eitherOf(authenticatedAs(r.NotPrincipals, r.Aliases))))
	}
	if len(r.Namespaces) > 0 {
		all = append(all, e.ofNamespaces(r.Namespaces, r.Aliases))
	}
	if len(r.NotNamespaces) > 0 {
		all = append(all, not(e.ofNamespaces(r.NotNamespaces, r.Aliases)))
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
		return authenticatedBelow("spiffe://"+e.mesh.TrustDomain+"/", r.Aliases)
	}
	return authenticatedAs(r.Principals, r.Aliases)
}

func (e *emitter) ofNamespaces(namespaces, aliases []string) *rbacv3.Principal {
	var in []*rbacv3.Principal
	for _, ns := range namespaces {
		in = append(in, authenticatedBelow(model.NamespaceID(e.mesh.TrustDomain, ns), aliases)...)
	}
	return eitherOf(in)
}

func authenticatedAs(ids, aliases []string) []*rbacv3.Principal {
	var out []*rbacv3.Principal
	for _, id := range ids {
		for _, one := range model.Aliased(id, aliases) {
			out = append(out, authenticated(exactly(one)))
		}
	}
	return out
}

func authenticatedBelow(prefix string, aliases []string) []*rbacv3.Principal {
	var out []*rbacv3.Principal
	for _, one := range model.Aliased(prefix, aliases) {
		out = append(out, authenticated(startsWith(one)))
	}
	return out
}

func authenticated(name *matcherv3.StringMatcher) *rbacv3.Principal {
	return &rbacv3.Principal{Identifier: &rbacv3.Principal_Authenticated_{
		Authenticated: &rbacv3.Principal_Authenticated{PrincipalName: name},
	}}
}

// addressPrincipals look at the connection's other end, which no header can
// pretend to be, and at the client whom believed proxies in front tell.
func addressPrincipals(r *model.Rule) ([]*rbacv3.Principal, error) {
	var out []*rbacv3.Principal
	for _, l := range []struct {
		networks []string
		negated  bool
		from     func([]string) (*rbacv3.Principal, error)
	}{{r.IPs, false, fromNetworks}, {r.NotIPs, true, fromNetworks}, {r.ClientIPs, false, ofClients}, {r.NotClientIPs, true, ofClients}} {
		if len(l.networks) == 0 {
			continue
		}
		in, err := l.from(l.networks)
		if err != nil {
			return nil, err
		}
		if l.negated {
			in = not(in)
		}
		out = append(out, in)
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

// mapped are the IPv4 addresses in IPv6 form.
var mapped = netip.MustParsePrefix("::ffff:0:0/96")

// ofClients takes an IPv4 address in IPv6 form, as some proxies write it, for the
// IPv4 address that it is; to Envoy these are two.
func ofClients(list []string) (*rbacv3.Principal, error) {
	var out []*rbacv3.Principal
	for _, n := range list {
		p, err := netip.ParsePrefix(n)
		if err != nil {
			return nil, fmt.Errorf("network: %w", err)
		}
		one := remote(p)
		switch {
		case p.Addr().Is4():
			out = append(out, one, remote(netip.PrefixFrom(netip.AddrFrom16(p.Addr().As16()), mapped.Bits()+p.Bits())))
			continue
		case p.Overlaps(mapped):
			one = &rbacv3.Principal{Identifier: &rbacv3.Principal_AndIds{AndIds: &rbacv3.Principal_Set{Ids: []*rbacv3.Principal{one, not(remote(mapped))}}}}
		}
		out = append(out, one)
	}
	return eitherOf(out), nil
}

func remote(p netip.Prefix) *rbacv3.Principal {
	return &rbacv3.Principal{Identifier: &rbacv3.Principal_RemoteIp{RemoteIp: cidrRange(p)}}
}

func cidrRanges(networks []string) ([]*corev3.CidrRange, error) {
	var out []*corev3.CidrRange
	for _, n := range networks {
		p, err := netip.ParsePrefix(n)
		if err != nil {
			return nil, fmt.Errorf("network: %w", err)
		}
		out = append(out, cidrRange(p))
	}
	return out, nil
}

func cidrRange(p netip.Prefix) *corev3.CidrRange {
	return &corev3.CidrRange{AddressPrefix: p.Addr().String(), PrefixLen: wrapperspb.UInt32(uint32(p.Bits()))}
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
