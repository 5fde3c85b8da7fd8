package reach

import (
	"net/netip"
	"strconv"

	"github.com/meshc/meshc/compiler/model"
)

// OfRule is all that a rule of a trust domain asks for: of who connects, from
// where and to which port, and of the request.
func OfRule(r *model.Rule, domain string) Pred {
	from, client := Dim{Kind: Address}, Dim{Kind: Client}
	all := []Pred{OfCaller(r, domain), Not(Within(from, r.NotIPs)), Not(Within(client, r.NotClientIPs)), Any(each(r.Matches(), OfMatch)...)}
	if len(r.IPs) > 0 {
		all = append(all, Within(from, r.IPs))
	}
	if len(r.ClientIPs) > 0 {
		all = append(all, Within(client, r.ClientIPs))
	}
	if len(r.Ports) > 0 {
		all = append(all, OfPorts(r.Ports))
	}
	if len(r.NotPorts) > 0 {
		all = append(all, Not(OfPorts(r.NotPorts)))
	}
	return All(all...)
}

// OfPorts holds for requests to one of these.
func OfPorts(ports []uint16) Pred {
	return Any(each(ports, func(p uint16) Pred { return Is(Dim{Kind: Port}, Exactly(strconv.Itoa(int(p)))) })...)
}

// OfCaller is what a rule asks of identities.
func OfCaller(r *model.Rule, domain string) Pred {
	who := Dim{Kind: Identity}
	is := func(id string) Pred {
		return Any(each(model.Aliased(id, r.Aliases), func(one string) Pred { return Is(who, Exactly(one)) })...)
	}
	below := func(prefix string) Pred {
		return Any(each(model.Aliased(prefix, r.Aliases), func(one string) Pred { return Is(who, BeginsWith(one)) })...)
	}
	within := func(ns string) Pred { return below(model.NamespaceID(domain, ns)) }
	all := []Pred{Not(Any(each(r.NotPrincipals, is)...)), Not(Any(each(r.NotNamespaces, within)...))}
	switch {
	case r.Any:
	case r.Authenticated:
		all = append(all, below("spiffe://"+domain+"/"))
	default:
		all = append(all, Any(each(r.Principals, is)...))
	}
	if len(r.Namespaces) > 0 {
		all = append(all, Any(each(r.Namespaces, within)...))
	}
	return All(all...)
}

// Within holds for addresses of one of these networks, d being Address, Client or
// Through. What is no network holds nothing.
func Within(d Dim, networks []string) Pred {
	var any []Pred
	for _, n := range networks {
		if p, err := netip.ParsePrefix(n); err == nil {
			any = append(any, Is(d, In(p.Masked())))
		}
	}
	return Any(any...)
}

func each[T any](list []T, f func(T) Pred) []Pred {
	out := make([]Pred, len(list))
	for i, v := range list {
		out[i] = f(v)
	}
	return out
}
