package behave

import (
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
	out := table{otherwise: Outcome{Verdict: NoRoute}, from: source{origin: l.Origin}}
	refused := judge(view{domain: domainOf(g.SPIFFEID), port: port, who: known("")}, atEdge(g), g.Deny).denied
	for _, h := range l.Hosts {
		here := reach.OfHost(h.Host)
		out.rules = append(out.rules, rule{reach.All(here, refused), Outcome{Verdict: Denied}, source{origin: rulesOf(g)}})
		for _, r := range h.Routes {
			out.rules = append(out.rules, throughGateway(m, g, r, reach.All(here, reach.OfMatches(r.Route.Match)))...)
		}
		out.rules = append(out.rules, rule{here, Outcome{Verdict: NoRoute}, source{origin: l.Origin}})
	}
	return out
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
	s := m.Service(r.Service)
	if s == nil {
		return []rule{{takes, Outcome{Verdict: NoRoute}, source{name: r.Name, origin: r.Origin}}}
	}
	from := source{name: r.Name, service: s, route: r.Route, origin: r.Origin, client: g.Timeouts.Settings()}
	rules := routeRules(s, r.Port, r.Route, takes, from, known(g.SPIFFEID))
	for i := range rules {
		then := &rules[i].then
		if then.Verdict == Served && s.ModeOn(r.Port) != model.MTLSDisable {
			then.As = g.SPIFFEID
		}
		for j := range then.To {
			then.To[j].Name = s.Ref.String() + "/" + then.To[j].Name
		}
		then.Client = clientTimeouts(g)
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
