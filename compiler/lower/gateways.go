package lower

import (
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
	"github.com/meshc/meshc/compiler/scope"
	"github.com/meshc/meshc/compiler/target"
)

// gateway meets each rule of a gateway with the rules of its service, whose
// routes and faults are final.
func (l *lowering) gateway(i int) {
	g := l.intent.Gateways[i]
	ref := scope.GatewayRef(g)
	out := &model.Gateway{
		Ref:            ref,
		ServiceAccount: scope.Or(g.ServiceAccount, ref.Name),
		SPIFFEID:       l.scope.GatewayID(g),
		RateLimits:     l.rateLimits(ref, g.RateLimits),
		Compression:    mapped(g.Compression, compression),
		Buffer:         mapped(g.Buffer, buffer),
		Egress:         scope.IsEgress(g),
		AccessLog:      l.accessLog(g.Telemetry, ref),
		Metrics:        l.metrics(g.Telemetry),
		Tracing:        l.tracing(g.Telemetry, ref),
		Envoy:          l.scope.GatewayProxy(g) == target.Envoy,
		Timeouts:       gatewayTimeouts(g.Timeouts),
		TrustedHops:    uint32(scope.Or(g.TrustedHops, 0)),
		TrustedCIDRs:   networks(g.TrustedCIDRs),
		ServerHeader:   scope.Or(g.ServerHeader, ""),
		Origin:         g.At,
	}
	l.gatewaySecurity(g, out)
	rules := l.gatewayRules(g)
	for _, gl := range g.Listeners {
		out.Listeners = append(out.Listeners, listener(g, gl, rules))
	}
	sortListeners(out.Listeners)
	for _, gl := range out.Listeners {
		for _, h := range gl.Hosts {
			for _, r := range h.Routes {
				for _, m := range r.Route.Match {
					model.YieldingClaims(out.JWT, m.Claims)
				}
			}
		}
	}
	l.mesh.Gateways[i] = out
}

func gatewayTimeouts(t *intent.GatewayTimeouts) model.GatewayTimeouts {
	if t == nil {
		return model.GatewayTimeouts{}
	}
	return model.GatewayTimeouts{
		RequestHeaders: durationOr(t.RequestHeaders, model.DefaultRequestHeaders),
		Idle:           durationOr(t.Idle, model.DefaultGatewayIdle),
		MaxConnection:  durationOr(t.MaxConnection, 0),
		Origin:         t.At,
	}
}

// gatewayRule is one rule of a gateway with what it expands to.
type gatewayRule struct {
	intent    *intent.GatewayRoute
	match     []model.Match
	listeners map[string][]string // listener name → host patterns there
	expanded  []*model.GatewayRoute
	bytes     bool // it is on listeners that carry bytes, where the most specific host chooses
}

// gatewayRules gives the rules of g in match order, each met with the rules of
// its service.
func (l *lowering) gatewayRules(g *intent.Gateway) []*gatewayRule {
	var rules []ordered[*gatewayRule]
	for _, r := range g.Routes {
		rule := &gatewayRule{intent: r, match: l.taken(r.Name, r.Match, r.Except), listeners: map[string][]string{}}
		for _, gl := range scope.RouteListeners(g, r) {
			rule.listeners[gl.Name.V] = meetHosts(listenerHosts(gl), r.Hosts)
			rule.bytes = rule.bytes || scope.CarriesBytes(gl)
		}
		l.expand(g, rule)
		rules = append(rules, ordered[*gatewayRule]{name: r.Name, before: r.Before, after: r.After, at: r.At, it: rule})
	}
	return order(rules, gatewayRulesShare, &l.diags)
}

func gatewayRulesShare(a, b *gatewayRule, work *reach.Allowance) (*reach.Request, bool) {
	if a.bytes || b.bytes {
		return nil, false
	}
	for name, hosts := range a.listeners {
		if !hostsDisjoint(hosts, b.listeners[name]) {
			return matchesShare(a.match, b.match, work)
		}
	}
	return nil, false
}

// expand meets a gateway's rule with each rule of its service, in order.
func (l *lowering) expand(g *intent.Gateway, rule *gatewayRule) {
	if rule.intent.Answers() {
		rule.expanded = []*model.GatewayRoute{answering(rule)}
		return
	}
	backend := l.scope.Backend(g, rule.intent)
	svc := l.mesh.Services[l.index[scope.ServiceRef(backend)]]
	port := uint16(scope.BackendPort(backend, rule.intent).Number.V)
	for _, r := range svc.Routes {
		if !slices.Contains(r.Ports, port) || !r.TakesFrom(scope.GatewayRef(g)) {
			continue
		}
		met, ok := meetAll(rule.match, r.Match)
		if !ok {
			continue
		}
		joint := *r
		joint.From = nil
		joint.Match, joint.Ports, joint.Faulted = met, []uint16{port}, meetFaulted(r.Faulted, rule.match)
		out := &model.GatewayRoute{
			Name:    rule.intent.Name.V + "/" + r.Name,
			Service: svc.Ref,
			Port:    port,
			Route:   &joint,
			Origin:  rule.intent.At,
		}
		passThrough(out, rule.intent)
		rule.expanded = append(rule.expanded, out)
	}
	if len(rule.expanded) == 0 && len(svc.Routes) > 0 {
		l.reportNeverMeets(rule.intent, svc)
	}
	if !takesAll(rule.expanded, rule.match) {
		rule.expanded = append(rule.expanded, notFound(rule, svc, port))
	}
	l.reportHidden(rule)
}

// reportHidden speaks of the matches that are left out of all that a rule becomes
// because other ones cover them: nobody finds them in the model.
func (l *lowering) reportHidden(rule *gatewayRule) {
	said := map[diag.Range]bool{}
	for _, m := range rule.match {
		left := len(rule.expanded) == 0 || slices.ContainsFunc(rule.expanded, func(r *model.GatewayRoute) bool {
			return slices.ContainsFunc(r.Route.Match, func(o model.Match) bool { return o.Origin == m.Origin })
		})
		if left || m.Origin.IsZero() || said[m.Origin] {
			continue
		}
		said[m.Origin] = true
		l.diags.Add(diag.New(diag.HiddenMatch, m.Origin, "this match of gateway route %q takes no request: earlier matches take all of them", rule.intent.Name.V))
	}
}

// takesAll says whether one of the rules surely takes whatever match takes.
func takesAll(rules []*model.GatewayRoute, match []model.Match) bool {
	return slices.ContainsFunc(rules, func(r *model.GatewayRoute) bool {
		return reach.AllCovered(match, r.Route.Match)
	})
}

// notFound ends a gateway's rule: what it takes and no rule of its service
// does must not go on to another rule, which may lead to another service.
func notFound(rule *gatewayRule, svc *model.Service, port uint16) *model.GatewayRoute {
	return &model.GatewayRoute{
		Name:    rule.intent.Name.V + "/" + NotFoundRule,
		Service: svc.Ref,
		Port:    port,
		Route: &model.Route{
			Name: NotFoundRule, Ports: []uint16{port}, Match: rule.match, NotFound: true, Origin: rule.intent.At,
		},
		Origin: rule.intent.At,
	}
}

// NotFoundRule is the name, after the gateway rule's and a slash, of the 404
// that ends it. No rule of a service can have it.
const NotFoundRule = "(no route)"

func (l *lowering) reportNeverMeets(r *intent.GatewayRoute, svc *model.Service) {
	d := diag.New(diag.NeverMatches, r.Name.At,
		"gateway route %q takes no request that a route of service %q takes", r.Name.V, svc.Ref)
	d.Help = "let a route of the service take these requests, or take this one away"
	l.diags.Add(d)
}

// meetAll is the conjunction of two any-of lists, where an empty list accepts
// every request. Conjunctions that another one covers are left out.
func meetAll(as, bs []model.Match) (met []model.Match, ok bool) {
	if len(as) == 0 {
		return bs, true
	}
	if len(bs) == 0 {
		return as, true
	}
	for _, a := range as {
		for _, b := range bs {
			m, ok := reach.Meet(a, b)
			covered := slices.ContainsFunc(met, func(o model.Match) bool { return reach.Covers(o, m) })
			if ok && !covered {
				met = append(met, m)
			}
		}
	}
	return met, len(met) > 0
}

// listener builds the tables of one port. A proxy asks only the most specific
// pattern that accepts a host, so each table holds every rule whose patterns
// cover its own, in match order.
func listener(g *intent.Gateway, gl *intent.GatewayListener, rules []*gatewayRule) model.GatewayListener {
	out := model.GatewayListener{
		Name: gl.Name.V, Port: uint16(gl.Port.V), Protocol: model.Protocol(gl.Protocol.V), Bind: scope.Or(gl.Bind, ""), TLS: listenerTLS(gl.TLS),
		ProxyProtocol: scope.Or(gl.Proxied, false), MaxConnections: numberOr(gl.Most, 0), Origin: gl.At,
	}
	if scope.RedirectsToHTTPS(gl) {
		out.Redirect, out.RedirectHosts = toHTTPS(g, gl), redirectHosts(gl)
		return out
	}
	if scope.CarriesBytes(gl) {
		out.Hosts = hostsOfBytes(gl, rules)
		return out
	}
	for _, host := range patternsOf(gl, rules) {
		table := model.GatewayHost{Host: host}
		for _, rule := range rules {
			covers := func(p string) bool { return model.HostCovers(p, host) }
			if slices.ContainsFunc(rule.listeners[gl.Name.V], covers) {
				table.Routes = append(table.Routes, rule.expanded...)
			}
		}
		if len(table.Routes) > 0 {
			out.Hosts = append(out.Hosts, table)
		}
	}
	return out
}

func patternsOf(gl *intent.GatewayListener, rules []*gatewayRule) []string {
	var all []string
	for _, rule := range rules {
		all = append(all, rule.listeners[gl.Name.V]...)
	}
	slices.SortFunc(all, model.CompareHosts)
	return slices.Compact(all)
}
