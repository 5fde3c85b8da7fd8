package check

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// edgeBytes checks what is said of listeners that carry bytes.
func (c *overIntent) edgeBytes() {
	for _, g := range c.in.gateways {
		for _, r := range g.Routes {
			listeners := scope.RouteListeners(g, r)
			if i := slices.IndexFunc(listeners, scope.CarriesBytes); i >= 0 {
				c.routeOfBytes(r, listeners[i])
			}
			if len(listeners) > 0 && !r.Answers() {
				c.listenerFits(g, r, listeners[0])
			}
		}
		for _, l := range g.Listeners {
			if scope.CarriesBytes(l) {
				c.listenerOfBytes(g, l)
			}
		}
		c.gatewayOfBytes(g)
	}
}

// withoutRequests reports a field that only requests have.
func (c *overIntent) withoutRequests(at diag.Range, field, owner string) *diag.Diagnostic {
	d := c.report(diag.EdgeWithoutRequests, at, "%s: `%s` is about requests, and a tls or tcp listener reads none", owner, field)
	d.Help = "leave it out"
	return d
}

func (c *overIntent) routeOfBytes(r *intent.GatewayRoute, l *intent.GatewayListener) {
	owner := "gateway route \"" + r.Name.V + "\""
	for _, f := range []struct {
		name string
		at   *diag.Range
	}{
		{"match", firstMatch(r.Match)}, {"except", firstMatch(r.Except)},
		{"redirect", at(r.Redirect, func(x *intent.Redirect) diag.Range { return x.At })},
		{"respond", at(r.Respond, func(x *intent.Respond) diag.Range { return x.At })},
		{"rewrite", at(r.Rewrite, func(x *intent.Rewrite) diag.Range { return x.At })},
		{"requestHeaders", at(r.RequestHeaders, func(x *intent.HeaderOps) diag.Range { return x.At })},
		{"responseHeaders", at(r.ResponseHeaders, func(x *intent.HeaderOps) diag.Range { return x.At })},
		{"before", firstValue(r.Before)}, {"after", firstValue(r.After)},
	} {
		if f.at != nil {
			c.withoutRequests(*f.at, f.name, owner)
		}
	}
	if l.Protocol.V == string(model.TCP) && len(r.Hosts) > 0 {
		c.withoutRequests(r.Hosts[0].At, "hosts", owner)
	}
}

func firstValue(list []intent.Value[string]) *diag.Range {
	if len(list) == 0 {
		return nil
	}
	return &list[0].At
}

// listenerFits: requests lead to ports that take requests, and bytes to others.
func (c *overIntent) listenerFits(g *intent.Gateway, r *intent.GatewayRoute, l *intent.GatewayListener) {
	s := c.scope.Backend(g, r)
	if s == nil {
		return
	}
	p := scope.BackendPort(s, r)
	if p == nil || scope.IsTCP(p) == scope.CarriesBytes(l) {
		return
	}
	at, help := r.To.At, "name an http or grpc port"
	if r.Port != nil {
		at = r.Port.At
	}
	if scope.CarriesBytes(l) {
		help = "name a tcp or tls port, or an http or https listener"
	}
	c.report(diag.ListenerMismatch, at, "gateway route %q: listener %q speaks %s, and port %q of service %q speaks %s", r.Name.V, l.Name.V, l.Protocol.V, p.Name.V, s.Name.V, p.Protocol.V).Help = help
}

// listenerOfBytes checks that each connection has one route.
func (c *overIntent) listenerOfBytes(g *intent.Gateway, l *intent.GatewayListener) {
	if l.Protocol.V == string(model.TCP) && len(l.Hosts) > 0 {
		c.withoutRequests(l.Hosts[0].At, "hosts", "listener \""+l.Name.V+"\"")
		return
	}
	first := map[string]*intent.GatewayRoute{} // by host pattern
	for _, r := range g.Routes {
		if !slices.Contains(scope.RouteListeners(g, r), l) {
			continue
		}
		for _, h := range patternsOn(l, r) {
			other, taken := first[h]
			if !taken {
				first[h] = r
				continue
			}
			if other == r {
				continue // written twice
			}
			d := c.report(diag.ConnectionsTwice, r.Name.At, "routes %q and %q of listener %q both take the connections for %q", other.Name.V, r.Name.V, l.Name.V, h)
			if l.Protocol.V == string(model.TCP) {
				d.Message = "routes \"" + other.Name.V + "\" and \"" + r.Name.V + "\" of listener \"" + l.Name.V + "\" both take every connection"
			}
			d.Related = []diag.Related{{Range: other.Name.At, Message: "the other one"}}
			break
		}
	}
	if len(first) == 0 {
		c.report(diag.ListenerUnrouted, l.Name.At, "no route is on the %s listener %q, so it leads nowhere", l.Protocol.V, l.Name.V)
	}
}

// patternsOn are the host patterns for which a route is on a listener.
func patternsOn(l *intent.GatewayListener, r *intent.GatewayRoute) []string {
	outer, inner := []string{"*"}, []string{"*"}
	if len(l.Hosts) > 0 {
		outer = lowered(l.Hosts)
	}
	if len(r.Hosts) > 0 {
		inner = lowered(r.Hosts)
	}
	var out []string
	for _, o := range outer {
		for _, i := range inner {
			switch {
			case model.HostCovers(o, i):
				out = append(out, i)
			case model.HostCovers(i, o):
				out = append(out, o)
			}
		}
	}
	return out
}

func lowered(list []intent.Value[string]) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = strings.ToLower(v.V)
	}
	return out
}

// gatewayOfBytes reports what a gateway says of requests that it never reads.
func (c *overIntent) gatewayOfBytes(g *intent.Gateway) {
	owner := "gateway \"" + g.Name.V + "\""
	if len(g.Listeners) > 0 && !slices.ContainsFunc(g.Listeners, func(l *intent.GatewayListener) bool { return !scope.CarriesBytes(l) }) {
		if g.Timeouts != nil {
			c.withoutRequests(g.Timeouts.At, "timeouts", owner)
		}
		if g.TrustedHops != nil {
			c.withoutRequests(g.TrustedHops.At, "trustedHops", owner)
		}
		if g.TrustedCIDRs != nil {
			c.withoutRequests(*believed(g), "trustedCIDRs", owner)
		}
		if g.ServerHeader != nil {
			c.withoutRequests(g.ServerHeader.At, "serverHeader", owner)
		}
		if limits := firstOf(g.RateLimits, func(l *intent.RateLimit) diag.Range { return l.Name.At }); limits != nil {
			c.withoutRequests(*limits, "rateLimits", owner)
		}
		c.unreadTokens(g.Security, owner)
	}
	if g.Security == nil {
		return
	}
	for _, r := range slices.Concat(g.Security.Allow, g.Security.Deny, g.Security.Audit) {
		if aboutRequests(r) && onBytes(g, r) {
			c.withoutRequests(r.At, "security", owner).Help = "write `listeners` with the http and https listeners that the rule is for"
		}
	}
}

// unreadTokens reports what is said of tokens, and of who is asked, where no
// request is read.
func (c *overIntent) unreadTokens(sec *intent.Security, owner string) {
	if sec == nil {
		return
	}
	for _, f := range []struct {
		name string
		at   *diag.Range
	}{
		{"jwt", firstOf(sec.JWT, func(t *intent.JWT) diag.Range { return t.Name.At })},
		{"public", firstOf(sec.Public, func(r *intent.Rule) diag.Range { return r.At })},
		{"authorizer", at(sec.Authorizer, func(a *intent.Authorizer) diag.Range { return a.At })},
	} {
		if f.at != nil {
			c.withoutRequests(*f.at, f.name, owner)
		}
	}
}

// aboutRequests says that a rule asks for what a connection does not have.
func aboutRequests(r *intent.Rule) bool {
	return len(r.Hosts)+len(r.NotHosts)+len(r.Methods)+len(r.NotMethods)+len(r.Paths)+len(r.NotPaths)+len(r.Headers)+len(r.Claims) > 0
}

// onBytes says that a rule of a gateway is for a listener that carries bytes.
func onBytes(g *intent.Gateway, r *intent.Rule) bool {
	return slices.ContainsFunc(g.Listeners, func(l *intent.GatewayListener) bool {
		return scope.CarriesBytes(l) && r.On(l.Name.V)
	})
}
