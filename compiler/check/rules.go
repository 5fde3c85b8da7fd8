package check

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// anyCaller is `from: ["*"]`.
const anyCaller = "*"

func (c *overIntent) security() {
	for _, s := range c.in.services {
		if s.Security != nil {
			names := portNames(s)
			c.rules(&ruleOwner{c, s.Security, "service", s.Name.V, scope.ServiceRef(s), "port", names, s, nil})
		}
	}
	for _, g := range c.in.gateways {
		if g.Security != nil {
			var names []string
			for _, l := range g.Listeners {
				names = append(names, l.Name.V)
			}
			c.rules(&ruleOwner{c, g.Security, "gateway", g.Name.V, scope.GatewayRef(g), "listener", names, nil, g})
		}
	}
}

// ruleOwner is the service or gateway whose rules are judged.
type ruleOwner struct {
	*overIntent
	sec        *intent.Security
	kind, name string
	ref        model.Ref
	portKind   string
	ports      []string
	service    *intent.Service // nil for a gateway
	gateway    *intent.Gateway // nil for a service
}

func (c *overIntent) rules(o *ruleOwner) {
	o.portModes()
	o.tokens()
	o.authorizer()
	if o.sec.HasAllow && len(o.sec.Allow) == 0 {
		help := "leave `allow` out to allow the services that declare `uses`"
		if o.service == nil {
			help = "leave `allow` out to take every request"
		}
		c.report(diag.NobodyAllowed, o.sec.At, "%s %q allows nobody", o.kind, o.name).Help = help
	}
	for _, r := range o.sec.Allow {
		if o.rule(r, "allows") {
			o.allowNamesSomebody(r)
		}
	}
	for _, r := range o.sec.Deny {
		if o.rule(r, "denies") {
			o.denyIdentities(r, "denies", "refused")
		}
	}
	o.audit()
}

// rule judges what every rule has, and says whether its lists hold something.
func (o *ruleOwner) rule(r *intent.Rule, verb string) bool {
	if list := r.EmptyList(); list != "" {
		o.emptyList(r, verb, list)
		return false
	}
	for _, name := range slices.Concat(r.From, r.NotFrom) {
		if name.V != anyCaller || slices.Contains(r.NotFrom, name) {
			o.knownCaller(r, verb, name)
		}
	}
	for _, ns := range slices.Concat(r.Namespaces, r.NotNamespaces) {
		o.knownNamespace(ns)
	}
	for _, n := range slices.Concat(r.IPs, r.NotIPs, r.ClientIPs, r.NotClientIPs) {
		if _, err := literal.Network(n.V); err != nil {
			o.report(diag.BadNetwork, n.At, "%s", err)
		}
	}
	o.clientTold(r)
	o.hostPatterns(slices.Concat(r.Hosts, r.NotHosts))
	o.portsOf(r)
	o.methods(r.Methods)
	o.methods(r.NotMethods)
	for _, p := range slices.Concat(r.Paths, r.NotPaths) {
		o.path(p)
	}
	o.headerConditions(r.Headers)
	o.headersOfClaims(r)
	o.claims(o.kind+" \""+o.name+"\"", o.sec, r.Claims)
	return true
}

// portsOf finds ports that do not exist, and rules that are for none.
func (o *ruleOwner) portsOf(r *intent.Rule) {
	known := true
	for _, p := range slices.Concat(r.Ports, r.NotPorts) {
		if !slices.Contains(o.ports, p.V) {
			d := o.report(diag.UnknownPort, p.At, "%s %q has no %s %q", o.kind, o.name, o.portKind, p.V)
			meantText(d, p, o.ports, slices.Concat(r.Ports, r.NotPorts))
			known = false
		}
	}
	if known && len(r.NotPorts) > 0 && !slices.ContainsFunc(o.ports, r.On) {
		d := o.report(diag.RuleNeverHolds, r.NotPorts[0].At, "%s %q: this rule is for no %s", o.kind, o.name, o.portKind)
		d.Help = "leave a " + o.portKind + " to it"
	}
}

// emptyList refuses a written list without elements: a list that a template
// left empty must not come to mean everything.
func (o *ruleOwner) emptyList(r *intent.Rule, verb, list string) {
	if o.gateway != nil {
		list = strings.NewReplacer("ports", "listeners", "Ports", "Listeners").Replace(list)
	}
	switch {
	case verb == "allows" && list == "from":
		o.report(diag.NobodyAllowed, r.At, "%s %q: this rule lets nobody in", o.kind, o.name).Help = "name callers in `from`"
	case verb == "allows" && strings.HasPrefix(list, "not"):
		o.report(diag.NobodyAllowed, r.At, "%s %q: `%s` of this rule is empty, and the rule left out", o.kind, o.name, list).Help = "leave `" + list + "` out"
	case verb == "allows":
		noun := strings.TrimSuffix(list, "s")
		o.report(diag.NobodyAllowed, r.At, "%s %q: this rule allows no %s", o.kind, o.name, noun).Help = "leave `" + list + "` out to allow every " + noun
	default:
		o.report(diag.RuleNeverHolds, r.At, "%s %q: `%s` of this rule is empty, and the rule left out", o.kind, o.name, list).Help = "leave `" + list + "` out"
	}
}

// allowNamesSomebody wants whoever is let in to be said, and to be known.
func (o *ruleOwner) allowNamesSomebody(r *intent.Rule) {
	if o.service == nil {
		return
	}
	if r.From == nil && r.NotFrom == nil && r.Namespaces == nil && r.NotNamespaces == nil && r.IPs == nil {
		d := o.report(diag.AllowsWhom, r.At, "service %q: this rule does not say who is allowed", o.name)
		d.Help = "write `from`; from: [\"*\"] allows everybody"
		return
	}
	for _, name := range named(r) {
		if !o.exists(name) {
			continue
		}
		switch o.mode(r) {
		case model.MTLSDisable:
			d := o.report(diag.AllowWithoutMTLS, name.At, "service %q allows %q by name, and with mtls \"disable\" nobody has one", o.name, name.V)
			d.Help = "set mtls to \"strict\", or allow \"*\""
		case model.MTLSPermissive:
			o.report(diag.PermissiveIdentity, name.At, "service %q allows %q by name: its plaintext requests are refused", o.name, name.V)
		}
	}
}

// denyIdentities finds callers that a rule denies or audits by name, and cannot
// recognise.
func (o *ruleOwner) denyIdentities(r *intent.Rule, verb, done string) {
	if o.service == nil {
		return
	}
	for _, name := range slices.Concat(withoutAny(r.From), r.Namespaces) {
		switch o.mode(r) {
		case model.MTLSDisable:
			d := o.report(diag.RuleNeverHolds, name.At, "service %q %s %q by name, and with mtls \"disable\" nobody has one", o.name, verb, name.V)
			d.Help = "set mtls to \"strict\""
		case model.MTLSPermissive:
			d := o.report(diag.DenyEvaded, name.At, "service %q %s %q by name: its plaintext requests are not %s", o.name, verb, name.V, done)
			d.Help = "set mtls to \"strict\""
		}
	}
}

// mode is what the ports accept that a rule is on: permissive when they differ.
func (o *ruleOwner) mode(r *intent.Rule) model.MTLSMode {
	var mode model.MTLSMode
	for _, p := range o.service.Ports {
		m := o.scope.ModeOn(o.service, p.Name.V)
		switch {
		case !r.On(p.Name.V) || m == mode:
		case mode == "":
			mode = m
		default:
			return model.MTLSPermissive
		}
	}
	if mode == "" {
		return o.scope.Mode(o.service)
	}
	return mode
}

// portModes finds modes of ports that the service does not have, or that say
// what the service says.
func (o *ruleOwner) portModes() {
	for _, p := range o.sec.Ports {
		if !slices.Contains(o.ports, p.Name.V) {
			meantText(o.report(diag.UnknownPort, p.Name.At, "%s %q has no port %q", o.kind, o.name, p.Name.V), p.Name, o.ports, nil)
			continue
		}
		if model.MTLSMode(p.MTLS.V) == o.scope.Mode(o.service) {
			d := o.report(diag.SameMode, p.MTLS.At, "service %q: port %q accepts what the service does, mtls %q", o.name, p.Name.V, p.MTLS.V)
			d.Help = "leave it out"
		}
	}
}

// named are the names that a rule knows callers by.
func named(r *intent.Rule) []intent.Value[string] {
	return slices.Concat(withoutAny(r.From), r.NotFrom, r.Namespaces, r.NotNamespaces)
}

func withoutAny(names []intent.Value[string]) []intent.Value[string] {
	return slices.DeleteFunc(slices.Clone(names), func(v intent.Value[string]) bool { return v.V == anyCaller })
}

// exists says that a name of a rule is a caller's or a namespace's.
func (o *ruleOwner) exists(name intent.Value[string]) bool {
	_, ok := o.scope.CallerID(literal.Ref(name.V, o.ref.Namespace))
	return ok || slices.Contains(o.namespaces(), name.V)
}

func (o *ruleOwner) knownCaller(r *intent.Rule, verb string, from intent.Value[string]) {
	ref := literal.Ref(from.V, o.ref.Namespace)
	if _, ok := o.scope.CallerID(ref); ok {
		return
	}
	if o.scope.External(ref) != nil {
		o.report(diag.UnknownCaller, from.At, "%s %q %s %q, which lies outside the mesh and never calls", o.kind, o.name, verb, from.V)
		return
	}
	if from.V == anyCaller {
		o.report(diag.RuleNeverHolds, from.At, "%s %q: no caller is outside \"*\"", o.kind, o.name).Help = "take it away"
		return
	}
	var known []string
	for _, s := range o.mesh.Services {
		known = append(known, written(scope.ServiceRef(s), o.ref.Namespace))
	}
	for _, g := range o.mesh.Gateways {
		known = append(known, written(scope.GatewayRef(g), o.ref.Namespace))
	}
	d := o.report(diag.UnknownCaller, from.At, "%s %q %s %q, which does not exist", o.kind, o.name, verb, from.V)
	meantText(d, from, known, slices.Concat(r.From, r.NotFrom))
}

// namespaces are those that a service or gateway is in.
func (c *overIntent) namespaces() []string {
	var all []string
	for _, s := range c.mesh.Services {
		all = append(all, scope.ServiceRef(s).Namespace)
	}
	for _, g := range c.mesh.Gateways {
		all = append(all, scope.GatewayRef(g).Namespace)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (o *ruleOwner) knownNamespace(ns intent.Value[string]) {
	known := o.namespaces()
	if slices.Contains(known, ns.V) {
		return
	}
	d := o.report(diag.UnknownNamespace, ns.At, "%s %q: no service or gateway is in namespace %q", o.kind, o.name, ns.V)
	meantText(d, ns, known, nil)
}
