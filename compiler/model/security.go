package model

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Rule judges callers and requests: all conditions must hold, and a list holds
// when any of its entries does, a negated one when none does. An empty list
// asks for nothing.
//
// Any takes every caller, even without identity; otherwise the caller's SPIFFE
// ID must be one of Principals, or, with Authenticated, any of the trust domain.
type Rule struct {
	Any           bool
	Authenticated bool
	Aliases       []string     // trust domains whose SPIFFE IDs count as those of the mesh; sorted, and none where no identity is looked at
	Principals    []string     // SPIFFE IDs, sorted
	NotPrincipals []string     // SPIFFE IDs, sorted
	Namespaces    []string     // of the caller's SPIFFE ID, sorted
	NotNamespaces []string     // sorted
	IPs           []string     // networks, sorted
	NotIPs        []string     // networks, sorted
	ClientIPs     []string     // networks, sorted; of gateways only, as NotClientIPs
	NotClientIPs  []string     // networks, sorted
	Ports         []uint16     // of the service or gateway, sorted; empty = every port
	NotPorts      []uint16     // sorted
	Hosts         []NamedMatch // on HostHeader
	NotHosts      []NamedMatch // on HostHeader
	Methods       []string     // empty = every method
	NotMethods    []string
	Paths         []PathMatch // empty = every path
	NotPaths      []PathMatch
	Headers       []NamedMatch // all of these
	Claims        []NamedMatch // all of these, by ClaimName
	Origin        Origin       // zero: derived from `uses`, or built in
}

// On says whether the rule is for a port.
func (r *Rule) On(port uint16) bool {
	return (len(r.Ports) == 0 || slices.Contains(r.Ports, port)) && !slices.Contains(r.NotPorts, port)
}

// Everything says that the rule holds for every caller and request.
func (r *Rule) Everything() bool {
	return r.Any && len(r.NotPrincipals)+len(r.Namespaces)+len(r.NotNamespaces) == 0 && !r.ByAddress() && !r.ByClient() &&
		len(r.Ports)+len(r.NotPorts) == 0 && !r.HTTP()
}

// HTTP says that the rule looks at requests, and not only at who connects where.
func (r *Rule) HTTP() bool {
	return len(r.Hosts)+len(r.NotHosts)+len(r.Methods)+len(r.NotMethods)+len(r.Paths)+len(r.NotPaths)+len(r.Headers)+len(r.Claims) > 0
}

// TakesCaller says whether the rule is about a caller; id is "" for one without
// identity.
func (r *Rule) TakesCaller(trustDomain, id string) bool {
	id = Unaliased(id, trustDomain, r.Aliases)
	switch {
	case r.Any:
	case id == "" || r.Authenticated && !strings.HasPrefix(id, "spiffe://"+trustDomain+"/"):
		return false
	case !r.Authenticated && !slices.Contains(r.Principals, id):
		return false
	}
	inNamespace := func(ns string) bool { return strings.HasPrefix(id, NamespaceID(trustDomain, ns)) }
	return !slices.Contains(r.NotPrincipals, id) && !slices.ContainsFunc(r.NotNamespaces, inNamespace) &&
		(len(r.Namespaces) == 0 || slices.ContainsFunc(r.Namespaces, inNamespace))
}

// ByAddress says that the rule looks at source addresses.
func (r *Rule) ByAddress() bool { return len(r.IPs) > 0 || len(r.NotIPs) > 0 }

// TakesAddress says whether the rule is about a source address.
func (r *Rule) TakesAddress(ip netip.Addr) bool { return lies(ip, r.IPs, r.NotIPs) }

// ByClient says that the rule looks at addresses of clients as proxies in front
// of a gateway tell them.
func (r *Rule) ByClient() bool { return len(r.ClientIPs) > 0 || len(r.NotClientIPs) > 0 }

// TakesClient says whether the rule is about the address of a client.
func (r *Rule) TakesClient(ip netip.Addr) bool { return lies(ip, r.ClientIPs, r.NotClientIPs) }

// lies says that an address is in one of some networks, if there are any, and in
// none of others.
func lies(ip netip.Addr, in, out []string) bool {
	holds := func(network string) bool {
		p, err := netip.ParsePrefix(network)
		return err == nil && p.Contains(ip.Unmap())
	}
	return (len(in) == 0 || slices.ContainsFunc(in, holds)) && !slices.ContainsFunc(out, holds)
}

// NamespaceID is what the SPIFFE IDs of a namespace begin with.
func NamespaceID(trustDomain, namespace string) string {
	return fmt.Sprintf("spiffe://%s/ns/%s/", trustDomain, namespace)
}

// Matches gives what the rule asks of requests as matches, of which one must
// hold.
func (r *Rule) Matches() []Match {
	base := Match{Headers: r.Headers, Claims: r.Claims, Origin: r.Origin}
	if len(r.NotHosts) > 0 {
		base.Headers = nil
		for _, h := range r.NotHosts {
			h.Not = true
			base.Headers = append(base.Headers, h)
		}
		base.Headers = append(base.Headers, r.Headers...)
	}
	switch {
	case len(r.Methods) > 0:
		base.Methods = slices.DeleteFunc(slices.Clone(r.Methods), func(m string) bool { return slices.Contains(r.NotMethods, m) })
		if len(base.Methods) == 0 {
			return nil
		}
	default:
		base.NotMethods = r.NotMethods
	}
	for _, p := range r.NotPaths {
		p.Not = true
		base.Paths = append(base.Paths, p)
	}
	out := []Match{base}
	if len(r.Paths) > 0 {
		out = nil
		for _, p := range r.Paths {
			m := base
			m.Paths = append([]PathMatch{p}, base.Paths...)
			out = append(out, m)
		}
	}
	if len(r.Hosts) == 0 {
		return out
	}
	var hosts []Match
	for _, m := range out {
		for _, h := range r.Hosts {
			with := m
			with.Headers = append([]NamedMatch{h}, m.Headers...)
			hosts = append(hosts, with)
		}
	}
	return hosts
}

// From says in words whose requests the rule is about.
func (r *Rule) From() string {
	who := strings.Join(r.Principals, ", ")
	switch {
	case r.Any:
		who = "everybody"
	case r.Authenticated:
		who = "every authenticated identity"
	}
	for _, part := range []struct {
		word string
		list []string
	}{{" except ", r.NotPrincipals}, {" of namespace ", r.Namespaces}, {" not of namespace ", r.NotNamespaces}, {" at ", r.IPs}, {" not at ", r.NotIPs}, {" for clients at ", r.ClientIPs}, {" for clients not at ", r.NotClientIPs}} {
		if len(part.list) > 0 {
			who += part.word + strings.Join(part.list, ", ")
		}
	}
	return who
}

// ModeOn is what a port accepts: what it says itself, else what the service does.
func (s *Service) ModeOn(port uint16) MTLSMode {
	if p := s.Port(port); p != nil && p.MTLS != "" {
		return p.MTLS
	}
	return s.MTLS
}
