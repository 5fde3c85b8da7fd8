package lower

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// rules is what the rules of one service or gateway are lowered with.
type rules struct {
	*lowering
	owner         model.Ref
	ports         map[string]uint16 // by name
	authenticated bool              // "*" is every identity, and not everybody
}

func (l *lowering) rules(owner model.Ref, ports map[string]uint16) *rules {
	return &rules{lowering: l, owner: owner, ports: ports}
}

// lower leaves out rules that hold a list which was written and is empty: what
// a template left empty must not come to mean everything.
func (l *rules) lower(in []*intent.Rule, deny bool) []model.Rule {
	var out []model.Rule
	for _, r := range in {
		if r.EmptyList() != "" {
			continue
		}
		rule := model.Rule{
			IPs: networks(r.IPs), NotIPs: networks(r.NotIPs),
			ClientIPs: networks(r.ClientIPs), NotClientIPs: networks(r.NotClientIPs),
			Hosts: hostConditions(r.Hosts), NotHosts: hostConditions(r.NotHosts),
			Ports: l.portsOf(r.Ports), NotPorts: l.portsOf(r.NotPorts),
			Methods: sortedTexts(r.Methods), NotMethods: sortedTexts(r.NotMethods),
			Paths: pathList(r.Paths), NotPaths: pathList(r.NotPaths),
			Headers: named(r.Headers, strings.ToLower),
			Claims:  claims(r.Claims),
			Origin:  r.At,
		}
		l.callersOf(&rule, r, deny)
		out = append(out, rule)
	}
	return out
}

func (l *rules) portsOf(names []intent.Value[string]) []uint16 {
	var out []uint16
	for _, n := range names {
		out = append(out, l.ports[n.V])
	}
	slices.Sort(out)
	return out
}

// yielding says of conditions on claims which providers come first.
func yielding(list []model.JWT, a *model.Authorizer, rules ...[]model.Rule) {
	if a != nil {
		rules = append(rules, a.On, a.Except)
	}
	for _, some := range rules {
		for i := range some {
			model.YieldingClaims(list, some[i].Claims)
		}
	}
}

// callersOf resolves who a rule is about. What lets in by what a caller is not,
// or by its namespace, needs to know who it is; what refuses does not.
func (l *rules) callersOf(out *model.Rule, r *intent.Rule, deny bool) {
	everybody := r.From == nil || slices.ContainsFunc(r.From, func(v intent.Value[string]) bool { return v.V == "*" })
	if everybody {
		out.Authenticated = l.authenticated && r.From != nil || len(r.Namespaces) > 0 || !deny && len(r.NotFrom)+len(r.NotNamespaces) > 0
		out.Any = !out.Authenticated
	} else {
		out.Principals = l.identities(r.From)
	}
	out.NotPrincipals = l.identities(r.NotFrom)
	out.Namespaces, out.NotNamespaces = sortedTexts(r.Namespaces), sortedTexts(r.NotNamespaces)
	if !out.Any || len(out.NotPrincipals)+len(out.NotNamespaces) > 0 {
		out.Aliases = l.scope.Aliases
	}
}

func (l *rules) identities(names []intent.Value[string]) []string {
	var ids []string
	for _, name := range names {
		id, ok := l.scope.CallerID(literal.Ref(name.V, l.owner.Namespace))
		if !ok {
			panic("lower: intent was not checked: a rule names unknown caller " + name.V)
		}
		ids = append(ids, id)
	}
	return sortedSet(ids)
}

// networks writes each in one way only.
func networks(list []intent.Value[string]) []string {
	var out []string
	for _, n := range list {
		p, err := literal.Network(n.V)
		if err != nil {
			panic("lower: intent was not checked: " + err.Error())
		}
		out = append(out, p.String())
	}
	return sortedSet(out)
}

// hostConditions makes conditions of "name" and "*.name".
func hostConditions(hosts []intent.Value[string]) []model.NamedMatch {
	var out []model.NamedMatch
	for _, h := range hosts {
		one := model.NamedMatch{Name: model.HostHeader, Kind: model.Exact, Value: strings.ToLower(h.V)}
		if suffix, wild := strings.CutPrefix(one.Value, "*"); wild {
			one.Kind, one.Value = model.Suffix, suffix
		}
		out = append(out, one)
	}
	return out
}

func pathList(ps []*intent.PathMatch) []model.PathMatch {
	var out []model.PathMatch
	for _, p := range ps {
		out = append(out, path(p))
	}
	return out
}

func portNumbers(ports []*intent.Port) map[string]uint16 {
	out := make(map[string]uint16, len(ports))
	for _, p := range ports {
		out[p.Name.V] = uint16(p.Number.V)
	}
	return out
}

// gatewaySecurity is what a gateway lets in: everything, unless it says more.
func (l *lowering) gatewaySecurity(g *intent.Gateway, out *model.Gateway) {
	if g.Security == nil {
		return
	}
	ports := make(map[string]uint16, len(g.Listeners))
	for _, gl := range g.Listeners {
		ports[gl.Name.V] = uint16(gl.Port.V)
	}
	r := l.rules(scope.GatewayRef(g), ports)
	out.Deny = r.lower(g.Security.Deny, true)
	out.Audit = r.lower(g.Security.Audit, true)
	out.JWT, out.Public = r.providers(g.Security.JWT), r.public(g.Security.Public)
	out.Authorizer = r.authorizer(g.Security.Authorizer)
	if g.Security.HasAllow {
		out.AllowOnly = true
		out.Allow = r.lower(g.Security.Allow, false)
	}
	yielding(out.JWT, out.Authorizer, out.Allow, out.Deny, out.Audit)
}
