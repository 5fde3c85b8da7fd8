package answer

import (
	"fmt"
	"strings"

	"github.com/meshc/meshc/compiler/model"
)

// throughGateway follows a request that a client sends to a gateway: its port
// chooses the listener, its host the most specific table.
func (a *asking) throughGateway(g *model.Gateway) {
	edge := *a.req
	edge.Edge = !g.Believes(a.req.Source)
	a.req = &edge
	var listener *model.GatewayListener
	for i := range g.Listeners {
		if g.Listeners[i].Port == a.req.Port {
			listener = &g.Listeners[i]
		}
	}
	if listener == nil {
		a.end(NoListener, fmt.Sprintf("gateway %s does not listen on port %d", g.Ref, a.req.Port))
		return
	}
	a.out.Listener = model.GatewayName(listener.Port)
	a.req.Client = clientOf(g, listener, a.req)
	if asked := a.req.TLS; asked != listener.Encrypted() && listener.Protocol != model.TCP {
		a.end(NoListener, fmt.Sprintf("listener %q of gateway %s speaks %s", listener.Name, g.Ref, listener.Protocol))
		return
	}
	if listener.Redirect != nil {
		a.redirected(g, listener)
		return
	}
	table := hostTable(listener, a.req.Host)
	if table != nil {
		a.out.HostPattern = table.Host
	}
	// Filters come before routes: a host that no route is for gets 401 and 403 too.
	if (table != nil || !listener.Protocol.Opaque()) && !a.pastEdge(g, listener) {
		return
	}
	if table == nil {
		a.end(NoHost, fmt.Sprintf("no route of listener %q is for host %s", listener.Name, a.req.Host))
		return
	}
	a.req.Source = a.req.Through // what comes next sees the gateway's
	for _, r := range table.Routes {
		noted := Rule{Name: r.Name, At: place(r.Origin)}
		a.alternatives(&noted, r.Route)
		a.out.Rules = append(a.out.Rules, noted)
		if noted.Took {
			came := *a.req
			service := a.mesh.Service(r.Service)
			if !r.Itself() {
				a.out.Service = &r.Service
			}
			if service != nil {
				a.req.Claims = takenOut(a.req.Claims, g.JWT, service.JWT)
			}
			a.finish(service, r.Port, r.Route)
			a.limited(g.RateLimits, r.Rule(), &came)
			a.holding("gateway", g.Holding(listener, r.Rule()))
			return
		}
	}
	a.finish(nil, 0, nil)
}

// hostTable picks the table of a host: they are sorted from the most specific
// pattern.
func hostTable(l *model.GatewayListener, host string) *model.GatewayHost {
	host = strings.ToLower(host)
	for i := range l.Hosts {
		if model.HostAccepts(l.Hosts[i].Host, host) {
			return &l.Hosts[i]
		}
	}
	return nil
}

// GatewayRoute is the rule that takes a request at a gateway, or nil.
func GatewayRoute(g *model.Gateway, req *Request) *model.Route {
	for i := range g.Listeners {
		l := &g.Listeners[i]
		switch {
		case l.Port != req.Port || req.TLS != l.Encrypted() && l.Protocol != model.TCP:
			continue
		case l.Redirect != nil:
			return &model.Route{Name: l.Name + "/https", Redirect: l.Redirect, Origin: l.Origin}
		}
		table := hostTable(&g.Listeners[i], req.Host)
		if table == nil {
			return nil
		}
		for _, r := range table.Routes {
			if accepts(r.Route, req) {
				return r.Route
			}
		}
	}
	return nil
}

// pastEdge says that tokens and rules of a gateway let a request in.
func (a *asking) pastEdge(g *model.Gateway, l *model.GatewayListener) bool {
	if !a.authenticated(g.JWT, g.Public, a.req, "the gateway") {
		return false
	}
	a.audited(g.Ref, g.Audit, "", a.req, l.Port)
	a.asks(g.Ref, g.Authorizer, a.req)
	if a.out.Authorization = a.atEdge(g, l.Port); !a.out.Authorization.Allowed {
		a.end(Denied, fmt.Sprintf("%s; the gateway answers 403", a.out.Authorization.Rule))
		return false
	}
	return true
}

// redirected is what a listener answers that sends every client to https.
func (a *asking) redirected(g *model.Gateway, l *model.GatewayListener) {
	for _, pattern := range l.RedirectHosts {
		if model.HostAccepts(pattern, strings.ToLower(a.req.Host)) {
			a.out.HostPattern = pattern
			break
		}
	}
	switch {
	case !a.pastEdge(g, l):
		return
	case a.out.HostPattern == "":
		a.end(NoHost, fmt.Sprintf("listener %q does not take host %s", l.Name, a.req.Host))
		return
	}
	a.out.Route = &Taken{
		Name: l.Name + "/https", At: place(l.Origin), Timeout: timeoutText(0),
		Redirect: fmt.Sprintf("%d %s", l.Redirect.Status, Location(l.Redirect, a.req)),
	}
	a.limited(g.RateLimits, "", a.req)
	a.holding("gateway", g.Holding(l, ""))
	a.end(Redirected, fmt.Sprintf("listener %q redirects every request: %s", l.Name, a.out.Route.Redirect))
}
