package behave

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// allows is the condition under which the server's proxy lets a request in: no
// deny rule holds, and an allow rule does.
func allows(s *model.Service) reach.Pred {
	return reach.All(reach.Not(anyRule(s, s.Deny)), anyRule(s, s.Allow))
}

func anyRule(s *model.Service, rules []model.Rule) reach.Pred {
	var any []reach.Pred
	for i := range rules {
		any = append(any, holds(s, &rules[i]))
	}
	return reach.Any(any...)
}

// holds is the condition of one rule.
func holds(s *model.Service, r *model.Rule) reach.Pred {
	all := []reach.Pred{caller(s, r), reach.OfMatches(r.Matches())}
	if len(r.Matches()) == 0 {
		return reach.Any() // methods of which each is excluded
	}
	if len(r.Ports) > 0 {
		var on []reach.Pred
		for _, p := range r.Ports {
			on = append(on, reach.Is(reach.Dim{Kind: reach.Port}, reach.Exactly(strconv.Itoa(int(p)))))
		}
		all = append(all, reach.Any(on...))
	}
	if len(r.IPs) > 0 {
		all = append(all, within(r.IPs))
	}
	return reach.All(append(all, reach.Not(within(r.NotIPs)))...)
}

func within(networks []string) reach.Pred {
	var any []reach.Pred
	for _, n := range networks {
		if p, err := netip.ParsePrefix(n); err == nil {
			any = append(any, reach.Is(reach.Dim{Kind: reach.Address}, reach.In(p)))
		}
	}
	return reach.Any(any...)
}

// caller is what a rule asks of identities. In plaintext a server knows none.
func caller(s *model.Service, r *model.Rule) reach.Pred {
	if s.MTLS == model.MTLSDisable {
		if r.TakesCaller("", "") {
			return reach.Pred{}
		}
		return reach.Any()
	}
	identity := reach.Dim{Kind: reach.Identity}
	domain, _, _ := strings.Cut(strings.TrimPrefix(s.SPIFFEID, "spiffe://"), "/")
	is := func(ids []string) reach.Pred {
		var any []reach.Pred
		for _, id := range ids {
			any = append(any, reach.Is(identity, reach.Exactly(id)))
		}
		return reach.Any(any...)
	}
	all := []reach.Pred{reach.Not(is(r.NotPrincipals))}
	switch {
	case r.Any:
	case r.Authenticated:
		all = append(all, reach.Is(identity, reach.BeginsWith("spiffe://"+domain+"/")))
	default:
		all = append(all, is(r.Principals))
	}
	if len(r.Namespaces) > 0 {
		var any []reach.Pred
		for _, ns := range r.Namespaces {
			any = append(any, reach.Is(identity, reach.BeginsWith(model.NamespaceID(domain, ns))))
		}
		all = append(all, reach.Any(any...))
	}
	return reach.All(all...)
}
