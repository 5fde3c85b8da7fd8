package behave

import (
	"slices"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// gatewayTable is what a gateway of m does to requests of clients on a port: the
// host chooses the table, whose rules are asked in order, and the service judges
// the gateway's identity.
func gatewayTable(m *model.Mesh, g *model.Gateway, port uint16) table {
	l := listenerOn(g, port)
	if l == nil {
		return nowhere()
	}
	out := table{otherwise: &Outcome{Verdict: NoRoute}, from: &source{origin: l.Origin}}
	edge := view{domain: domainOf(g.SPIFFEID), port: port, who: known(""), jwt: g.JWT, edge: g, listener: l}
	kept := judge(edge, atEdge(g), g.Deny).denied
	tokenless, _ := edge.tokenless(g.JWT, g.Public) // nothing is changed on the way to it
	turnedAway := func(here reach.Pred) {
		if len(model.Requiring(g.JWT)) > 0 {
			out.rules = append(out.rules, rule{when: reach.All(here, tokenless), then: unknown, from: &source{origin: g.JWT[0].Origin}})
		}
		out.rules = append(out.rules, rule{when: reach.All(here, kept), then: denied, from: &source{origin: rulesOf(g)}})
	}
	if scheme := schemeOf(g, l); scheme != "" {
		other := reach.Not(reach.Is(reach.Dim{Kind: reach.Scheme}, reach.Exactly(scheme)))
		other = reach.All(other, reach.Not(edge.within(g.TrustedCIDRs)))
		out.rules = append(out.rules, rule{when: other, then: &Outcome{Verdict: Nowhere}, from: out.from})
	}
	if !l.Protocol.Opaque() { // filters come before routes, whatever the host
		turnedAway(reach.All())
	}
	if l.Redirect != nil {
		here := reach.Any(mapped(l.RedirectHosts, reach.OfHost)...)
		every := &model.Route{Redirect: l.Redirect, Origin: l.Origin}
		redirected := routeRules(&door{port: port, who: known(g.SPIFFEID)}, every, here, &source{name: l.Name, route: every, origin: l.Origin})
		out.rules = append(out.rules, limited(redirected, everywhere(g.RateLimits), true, edge)...)
	}
	for _, h := range l.Hosts {
		here := reach.OfHost(h.Host)
		if l.Protocol.Opaque() {
			turnedAway(here)
		}
		for _, r := range h.Routes {
			for _, variant := range r.Route.ForCaller(g.Ref).Variants() {
				some := *r
				some.Route = variant
				through := throughGateway(m, g, &some, reach.All(here, reach.OfMatches(model.OfClaims(g.JWT, variant.Match))))
				out.rules = append(out.rules, limited(through, ofRoute(g.RateLimits, r.Rule()), true, edge)...)
			}
		}
		out.rules = append(out.rules, rule{when: here, then: &Outcome{Verdict: NoRoute}, from: &source{origin: l.Origin}})
	}
	for i := range out.rules {
		out.rules[i].atListener(g, l)
	}
	if !l.Protocol.Opaque() {
		out.rules = edge.askedAtEdge(g.Authorizer, out.rules)
	}
	return out
}

// schemeOf the requests that a listener takes; "" for either, where it believes
// the x-forwarded-proto of a proxy in front, or reads nothing at all.
func schemeOf(g *model.Gateway, l *model.GatewayListener) string {
	if g.TrustedHops > 0 && !l.Protocol.Opaque() || l.Protocol == model.TCP {
		return ""
	}
	if l.Encrypted() {
		return "https"
	}
	return "http"
}

// atListener adds what the listener does to every request that is answered. To
// redirect to the scheme that a request has is not to change it.
func (r *rule) atListener(g *model.Gateway, l *model.GatewayListener) {
	if r.then.Verdict != Served && r.then.Verdict != Replied {
		return
	}
	then := *r.then
	r.then = &then
	if l.Protocol.Opaque() {
		then.Client = []string{"protocol: " + string(l.Protocol)}
		for _, s := range append(l.Facing(), g.Holding(l, "")...) {
			then.Client = append(then.Client, s.Name+": "+s.Value)
		}
		return
	}
	settings := g.Timeouts.Settings()
	then.Client = clientTimeouts(g)
	for _, s := range slices.Concat(g.Facing(), l.Facing(), g.Holding(l, r.from.rule)) {
		settings = append(settings, s)
		then.Client = append(then.Client, s.Name+": "+s.Value)
	}
	for _, s := range l.TLS.Settings() {
		s.Name = "tls." + s.Name
		settings = append(settings, s)
		then.Client = append(then.Client, s.Name+": "+s.Value)
	}
	for _, s := range g.Authorizer.Settings() {
		s.Name = authorizerFacet + s.Name
		settings = append(settings, s)
		then.Client = append(then.Client, s.Name+": "+s.Value)
	}
	for _, s := range tokenSettings(g.JWT) {
		s.Name = jwtFacet + s.Name
		settings = append(settings, s)
		then.Client = append(then.Client, s.Name+": "+s.Value)
	}
	from := *r.from
	from.client = settings
	r.from = &from
	if to := then.Redirect; to != nil && to.Scheme == schemeOf(g, l) {
		plain := *to
		plain.Scheme = ""
		then.Redirect = &plain
	}
}

// atEdge are the rules that let clients of a gateway in: everybody, unless it
// says otherwise.
func atEdge(g *model.Gateway) []model.Rule {
	if !g.AllowOnly {
		return []model.Rule{{Any: true}}
	}
	return g.Allow
}

// rulesOf is where a gateway says who is let in.
func rulesOf(g *model.Gateway) model.Origin {
	for _, r := range append(g.Allow[:len(g.Allow):len(g.Allow)], g.Deny...) {
		if !r.Origin.IsZero() {
			return r.Origin
		}
	}
	return g.Origin
}

func listenerOn(g *model.Gateway, port uint16) *model.GatewayListener {
	if g == nil {
		return nil
	}
	for i := range g.Listeners {
		if g.Listeners[i].Port == port {
			return &g.Listeners[i]
		}
	}
	return nil
}

// throughGateway are the rules of one of its routes.
func throughGateway(m *model.Mesh, g *model.Gateway, r *model.GatewayRoute, takes reach.Pred) []rule {
	if r.Itself() {
		return routeRules(&door{port: r.Port, who: known(g.SPIFFEID)}, r.Route, takes, &source{name: r.Name, rule: r.Rule(), route: r.Route, origin: r.Origin})
	}
	s := m.Service(r.Service)
	if s == nil {
		return []rule{{when: takes, then: &Outcome{Verdict: NoRoute}, from: &source{name: r.Name, origin: r.Origin}}}
	}
	from := &source{name: r.Name, rule: r.Rule(), service: s, gateway: g, route: r.Route, origin: r.Origin}
	rules := routeRules(&door{service: s, port: r.Port, who: known(g.SPIFFEID)}, r.Route, takes, from)
	for i := range rules {
		rules[i].change(func(then *Outcome) {
			if then.Verdict == Served && s.ModeOn(r.Port) != model.MTLSDisable {
				then.As = g.SPIFFEID
			}
			then.To = slices.Clone(then.To)
			for j := range then.To {
				then.To[j].Name = s.Ref.String() + "/" + then.To[j].Name
			}
		})
	}
	return rules
}

// clientTimeouts lists what differs from the built-in defaults.
func clientTimeouts(g *model.Gateway) []string {
	builtIn := map[string]string{
		"requestHeaders": model.DefaultRequestHeaders.String(),
		"idle":           model.DefaultGatewayIdle.String(),
	}
	var out []string
	for _, t := range g.Timeouts.Settings() {
		if builtIn[t.Name] != t.Value {
			out = append(out, t.Name+": "+t.Value)
		}
	}
	return out
}
