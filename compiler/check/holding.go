package check

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// mediaType is a type of media without parameters (RFC 9110 §8.3.1).
var mediaType = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// holding judges what holds bodies, of services and gateways.
func (c *overIntent) holding() {
	for _, s := range c.in.services {
		owner := fmt.Sprintf("service %q", s.Name.V)
		http := slices.ContainsFunc(s.Ports, func(p *intent.Port) bool { return p.Protocol.V == string(model.HTTP) })
		c.held(owner, "http port", http, s.Compression, s.Buffer)
		if b := s.Buffer; b != nil {
			c.bufferedUpgrades(s, b)
		}
	}
	for _, g := range c.in.gateways {
		owner := fmt.Sprintf("gateway %q", g.Name.V)
		http := slices.ContainsFunc(g.Listeners, func(l *intent.GatewayListener) bool { return !scope.CarriesBytes(l) })
		if scope.IsEgress(g) {
			continue // which has neither
		}
		c.held(owner, "http or https listener", http, g.Compression, g.Buffer)
		if b := g.Buffer; b != nil {
			c.bufferedRoutes(g, b)
		}
		var routes []string
		for _, r := range g.Routes {
			routes = append(routes, r.Name.V)
		}
		if g.Compression != nil {
			c.heldExcept(g, "compression", g.Compression.Except, routes)
		}
		if g.Buffer != nil {
			c.heldExcept(g, "buffer", g.Buffer.Except, routes)
		}
	}
}

// held judges what services and gateways have in common.
func (c *overIntent) held(owner, where string, there bool, z *intent.Compression, b *intent.Buffer) {
	if z != nil {
		if !there {
			c.report(diag.HeldNowhere, z.At, "%s has no %s, so `compression` compresses nothing", owner, where)
		}
		c.compressed(owner, z)
		c.heldPaths(owner+": compression", z.NotPaths, z.At)
	}
	if b != nil {
		if !there {
			c.report(diag.HeldNowhere, b.At, "%s has no %s, so `buffer` holds nothing", owner, where)
		}
		c.heldPaths(owner+": buffer", b.NotPaths, b.At)
	}
}

func (c *overIntent) compressed(owner string, z *intent.Compression) {
	for name, list := range map[string][]intent.Value[string]{"encodings": z.Encodings, "contentTypes": z.ContentTypes} {
		if list != nil && len(list) == 0 {
			c.report(diag.WrongValue, z.At, "%s: `%s` is an empty list", owner, name).Help = "leave it out"
		}
		c.listedTwice("`"+name+"`", list, strings.ToLower)
	}
	for _, t := range z.ContentTypes {
		switch {
		case !mediaType.MatchString(t.V):
			c.report(diag.BadCompression, t.At, "%s: %q is no type of media", owner, literal.Clip(t.V)).Help = "write a type and a subtype and no more, as \"text/html\""
		case strings.HasPrefix(strings.ToLower(t.V), "application/grpc"):
			c.report(diag.BadCompression, t.At, "%s: calls of gRPC compress their messages themselves, and their bodies may not change", owner).Help = "leave the type out"
		}
	}
}

// heldPaths are segment prefixes.
func (c *overIntent) heldPaths(owner string, list []intent.Value[string], at diag.Range) {
	if list != nil && len(list) == 0 {
		c.report(diag.WrongValue, at, "%s: `notPaths` is an empty list", owner).Help = "leave it out"
	}
	c.listedTwice("`notPaths`", list, same)
	for _, p := range list {
		c.path(&intent.PathMatch{Kind: intent.Value[string]{V: string(model.SegmentPrefix), At: p.At}, Value: p})
	}
}

// heldExcept are routes of a gateway by name.
func (c *overIntent) heldExcept(g *intent.Gateway, field string, list []intent.Value[string], routes []string) {
	if list != nil && len(list) == 0 {
		c.report(diag.WrongValue, g.Name.At, "gateway %q: `except` of `%s` is an empty list", g.Name.V, field).Help = "leave it out"
	}
	c.listedTwice("`except`", list, same)
	for _, name := range list {
		if !slices.Contains(routes, name.V) {
			d := c.report(diag.UnknownHeldRoute, name.At, "`%s`: gateway %q has no route %q", field, g.Name.V, name.V)
			meantText(d, name, routes, list)
		}
	}
}

// bufferedRoutes finds those of a gateway on which a buffer waits for an end that
// does not come.
func (c *overIntent) bufferedRoutes(g *intent.Gateway, b *intent.Buffer) {
	for _, r := range g.Routes {
		if r.Answers() || listed(b.Except, r.Name.V) || !c.readsRequests(g, r) {
			continue
		}
		s := c.scope.Backend(g, r)
		if s == nil {
			continue
		}
		p := scope.BackendPort(s, r)
		if p == nil {
			continue // reported
		}
		if p.Protocol.V == string(model.GRPC) {
			c.report(diag.BufferedStream, b.At, "gateway %q: route %q leads to calls of gRPC, whose streams never come to an end in a buffer", g.Name.V, r.Name.V).
				Help = fmt.Sprintf("write except: [%q]", r.Name.V)
			continue
		}
		if u := upgradedOn(s, p); u != nil {
			c.report(diag.BufferedStream, b.At, "route %q leads to upgrades of service %q (route %q), of which a buffer waits for the end", r.Name.V, s.Name.V, u.Name.V).
				Help = fmt.Sprintf("write except: [%q]", r.Name.V)
		}
	}
}

// readsRequests says that a route is of some http or https listener.
func (c *overIntent) readsRequests(g *intent.Gateway, r *intent.GatewayRoute) bool {
	return slices.ContainsFunc(c.listenersOf(g, r), func(l *intent.GatewayListener) bool { return !scope.CarriesBytes(l) })
}
