package check

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// maxHops is how many redirects browsers and curl follow, and a few more.
const maxHops = 60

// redirectLoops follows, from each route that redirects, one request that it
// takes: a client that does the same and comes back will do so for ever.
func (c *overModel) redirectLoops() {
	for _, s := range c.mesh.Services {
		to := hops{
			route: func(req *answer.Request) *model.Route { return answer.Route(s, req) },
			stays: func(from *answer.Request, host string, port uint16) bool {
				return strings.EqualFold(host, from.Host) && port == from.Port
			},
		}
		for i, r := range s.Routes {
			if r.Redirect != nil && len(r.Ports) > 0 {
				c.loop(to, r, to.example(r, s.Routes[:i], answer.Request{Host: s.Host, Port: r.Ports[0]}))
			}
		}
	}
	for _, g := range c.mesh.Gateways {
		c.gatewayLoops(g)
	}
}

// gatewayLoops begins with the gateway's own redirects: those of services have
// been followed.
func (c *overModel) gatewayLoops(g *model.Gateway) {
	to := hops{
		route: func(req *answer.Request) *model.Route { return answer.GatewayRoute(g, req) },
		stays: func(_ *answer.Request, _ string, port uint16) bool {
			return slices.ContainsFunc(g.Listeners, func(l model.GatewayListener) bool { return l.Port == port })
		},
	}
	for _, l := range g.Listeners {
		for _, h := range l.Hosts {
			var before []*model.Route
			for _, r := range h.Routes {
				if r.Itself() && r.Route.Redirect != nil && !c.has(diag.RedirectLoop, r.Route.Redirect.Origin) {
					c.loop(to, r.Route, to.example(r.Route, before, answer.Request{Host: exampleHost(h.Host), Port: l.Port, Edge: true, TLS: l.TLS != nil}))
				}
				before = append(before, r.Route)
			}
		}
	}
}

func (c *overModel) loop(to hops, r *model.Route, first *answer.Request) {
	if first != nil && to.comesBack(first) {
		d := c.report(diag.RedirectLoop, r.Redirect.Origin, "route %q redirects to where requests are redirected without end", r.Name)
		d.Witness = first.Method + " " + first.Spoken() + "://" + first.Host + ":" + strconv.Itoa(int(first.Port)) + first.Target
	}
}

// hops is where a client goes that follows redirects.
type hops struct {
	route func(*answer.Request) *model.Route                        // nil: none takes it
	stays func(from *answer.Request, host string, port uint16) bool // it asks the same routes again
}

// example is a request like base that r takes and no route before it, or nil.
func (to hops) example(r *model.Route, before []*model.Route, base answer.Request) *answer.Request {
	p := reach.OfMatches(r.Match)
	for _, e := range before {
		p = reach.All(p, reach.Not(reach.OfMatches(e.Match)))
	}
	w, err := reach.Find(reach.All(p, reach.Is(reach.Dim{Kind: reach.Scheme}, reach.Exactly(base.Scheme()))))
	if err != nil || w == nil {
		return nil
	}
	if w.Host != "" {
		base.Host = w.Host
	}
	base.Method, base.Target, base.Headers = w.Method, w.Target(), w.Fields()
	if to.route(&base) != r {
		return nil
	}
	return &base
}

// comesBack follows redirects while they stay.
func (to hops) comesBack(req *answer.Request) bool {
	seen := map[string]bool{}
	for range maxHops {
		r := to.route(req)
		if r == nil || r.Redirect == nil {
			return false
		}
		url := answer.Location(r.Redirect, req)
		if seen[url] {
			return true
		}
		seen[url] = true
		next, ok := to.follow(req, url)
		if !ok {
			return false
		}
		req = next
	}
	return true // it grows for ever
}

// follow is the request that a client makes of a Location; ok is false when it
// goes to another server.
func (to hops) follow(req *answer.Request, location string) (next *answer.Request, ok bool) {
	u, err := url.Parse(location)
	secure := u != nil && u.Scheme == "https" && req.Edge
	if err != nil || u.Scheme != "http" && !secure {
		return nil, false
	}
	port := uint64(80)
	if secure {
		port = 443
	}
	if u.Port() != "" {
		if port, err = strconv.ParseUint(u.Port(), 10, 16); err != nil {
			return nil, false
		}
	}
	if !to.stays(req, u.Hostname(), uint16(port)) {
		return nil, false
	}
	out := *req
	out.Host, out.Port = u.Hostname(), uint16(port)
	out.TLS = secure
	_, out.Target, _ = strings.Cut(strings.TrimPrefix(location, u.Scheme+"://"), "/")
	out.Target = "/" + out.Target
	return &out, true
}
