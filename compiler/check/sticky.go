package check

import (
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
)

func (c *overIntent) sticky(r *intent.Route) {
	k := r.Sticky
	if k == nil {
		return
	}
	written := 0
	for _, is := range []bool{k.Cookie != nil, k.Header != nil, k.SourceIP != nil} {
		if is {
			written++
		}
	}
	destinations := 0
	for _, w := range r.To {
		if bp, err := literal.Percent(w.Percent.V); err == nil && bp > 0 {
			destinations++
		}
	}
	switch {
	case written != 1:
		d := c.report(diag.NotExactlyOne, k.At, "route %q: `sticky` is exactly one of cookie, header and sourceIP", r.Name.V)
		relateArms(d, where(k.Cookie), where(k.Header), where(k.SourceIP))
	case k.Cookie != nil && (k.Cookie.V == "" || strings.ContainsAny(k.Cookie.V, " \t;=,\"")):
		c.report(diag.WrongValue, k.Cookie.At, "route %q: %q is no name of a cookie", r.Name.V, k.Cookie.V)
	case k.SourceIP != nil && !k.SourceIP.V:
		c.report(diag.WrongValue, k.SourceIP.At, "route %q: a key that is turned off", r.Name.V).Help = "leave `sticky` out"
	case k.Header != nil && unusableHeader(strings.ToLower(k.Header.V)) != "":
		c.report(diag.BadHeader, k.Header.At, "route %q: users cannot be told apart by header %q: %s", r.Name.V, k.Header.V, unusableHeader(strings.ToLower(k.Header.V)))
	case len(r.Hash) > 0:
		d := c.report(diag.BadSticky, k.At, "route %q has `sticky` beside `hash`", r.Name.V)
		d.Related = []diag.Related{{Range: r.Hash[0].At, Message: "the other keys"}}
		d.Help = "write one of them"
	case destinations == 1:
		c.report(diag.BadSticky, k.At, "route %q has one destination, and `sticky` keeps nobody with it", r.Name.V).Help = "take it away"
	}
}

// upgrades are of HTTP/1.1.
func (c *overIntent) upgrades(s *intent.Service, r *intent.Route) {
	if r.Upgrades != nil && len(r.Upgrades) == 0 {
		c.report(diag.WrongValue, r.Name.At, "route %q: `upgrades` is an empty list", r.Name.V).Help = "leave it out"
	}
	c.listedTwice("`upgrades`", r.Upgrades, same)
	if !c.knownUpgrades(r) {
		return
	}
	for _, p := range routePorts(s, r) {
		if len(r.Upgrades) > 0 && p.Protocol.V == string(model.GRPC) {
			d := c.report(diag.BadUpgrade, r.Upgrades[0].At, "route %q is for port %q, which speaks HTTP/2: no request of it becomes a WebSocket", r.Name.V, p.Name.V)
			d.Help = "write `port` with the name of an http port"
			d.Related = []diag.Related{{Range: p.Protocol.At, Message: "the port"}}
			return
		}
	}
}

// knownUpgrades says that a route names nothing but what can be carried. What
// follows CONNECT has no path, no method and no answer: rules, routes, retries
// and limits of an http port would all let it by unread.
func (c *overIntent) knownUpgrades(r *intent.Route) bool {
	known := true
	for _, u := range r.Upgrades {
		switch {
		case u.V == "websocket":
			continue
		case strings.EqualFold(u.V, "connect"):
			c.report(diag.BadUpgrade, u.At, "route %q: a CONNECT request has no path to route by, and nothing that follows it can be judged", r.Name.V).
				Help = "give the service a port of protocol \"tcp\" for it: that carries CONNECT between the same identities"
		default:
			meantWord(c.report(diag.BadUpgrade, u.At, "route %q: connections are not turned into %q", r.Name.V, u.V), u, []string{"websocket"}, r.Upgrades)
		}
		known = false
	}
	return known
}
