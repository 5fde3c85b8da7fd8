package intent

import (
	"slices"

	"github.com/meshc/meshc/compiler/diag"
)

// Security says who may call, and how. A nil Allow that was not written is
// derived from `uses`; at a gateway it is everybody. MTLS is for services only.
type Security struct {
	MTLS       *Value[string]
	Migration  *Migration
	Ports      []*PortSecurity
	Allow      []*Rule
	HasAllow   bool
	Deny       []*Rule // nil: not written
	Audit      []*Rule // nil: not written
	JWT        []*JWT
	Authorizer *Authorizer
	Public     []*Rule // hosts, methods and paths only; nil: not written
	At         diag.Range
}

// PortSecurity is what one port accepts.
type PortSecurity struct {
	Name Value[string]
	MTLS Value[string]
	At   diag.Range
}

// Rule holds conditions of which all must hold; a nil list was not written.
// From, NotFrom, Namespaces and NotNamespaces are for services only. Ports and
// NotPorts are names of ports, at a gateway of listeners.
type Rule struct {
	From          []Value[string]
	NotFrom       []Value[string]
	Namespaces    []Value[string]
	NotNamespaces []Value[string]
	IPs           []Value[string] // networks
	NotIPs        []Value[string]
	// ClientIPs and NotClientIPs are for gateways only: networks of clients, as
	// proxies in front tell.
	ClientIPs    []Value[string]
	NotClientIPs []Value[string]
	Hosts        []Value[string]
	NotHosts     []Value[string]
	Ports        []Value[string]
	NotPorts     []Value[string]
	Methods      []Value[string]
	NotMethods   []Value[string]
	Paths        []*PathMatch
	NotPaths     []*PathMatch
	Headers      []*NamedMatch
	Claims       []*Claims
	At           diag.Range
}

// EmptyList names the first list that was written and has no entries, "" when
// there is none: a template may have left it so, and it must not come to mean
// everything.
func (r *Rule) EmptyList() string {
	for _, l := range []struct {
		name  string
		empty bool
	}{
		{"from", empty(r.From)}, {"notFrom", empty(r.NotFrom)}, {"namespaces", empty(r.Namespaces)}, {"notNamespaces", empty(r.NotNamespaces)},
		{"ips", empty(r.IPs)}, {"notIPs", empty(r.NotIPs)}, {"clientIPs", empty(r.ClientIPs)}, {"notClientIPs", empty(r.NotClientIPs)},
		{"hosts", empty(r.Hosts)}, {"notHosts", empty(r.NotHosts)}, {"ports", empty(r.Ports)}, {"notPorts", empty(r.NotPorts)},
		{"methods", empty(r.Methods)}, {"notMethods", empty(r.NotMethods)}, {"paths", empty(r.Paths)}, {"notPaths", empty(r.NotPaths)},
	} {
		if l.empty {
			return l.name
		}
	}
	return ""
}

// On says whether the rule is for the port, or listener, of that name.
func (r *Rule) On(port string) bool {
	is := func(v Value[string]) bool { return v.V == port }
	return (len(r.Ports) == 0 || slices.ContainsFunc(r.Ports, is)) && !slices.ContainsFunc(r.NotPorts, is)
}

func empty[T any](list []T) bool { return list != nil && len(list) == 0 }
