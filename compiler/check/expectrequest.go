package check

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/reach"
)

// request is one that a proxy would see as it is written. sec is what the tokens
// are verified by.
func (x *expected) request(q *intent.ExpectedRequest, sec *intent.Security) {
	if q.Method != nil {
		x.methods([]intent.Value[string]{*q.Method})
	}
	if q.Path != nil {
		x.requestPath(q.Path)
	}
	x.hostName(q.Host)
	seen := map[string]bool{}
	for _, h := range q.Headers {
		name := strings.ToLower(h.Key.V)
		switch why := unusableHeader(name); {
		case why != "":
			x.report(diag.BadHeader, h.Key.At, "header %q cannot be sent here: %s", h.Key.V, why)
		case name == "cookie" && len(q.Cookies) > 0, seen[name]:
			x.report(diag.BadHeader, h.Key.At, "header %q is written twice", h.Key.V)
		default:
			x.headerValue(h)
		}
		seen[name] = true
	}
	for _, kv := range q.Query {
		if kv.Key.V == "" || strings.ContainsAny(kv.Key.V, "&=#?") || strings.ContainsAny(kv.Value.V, "&#") || spaced(kv.Key.V+kv.Value.V) {
			x.report(diag.WrongValue, kv.Key.At, "%s: query parameter %q cannot be sent as it is written", x.what, kv.Key.V).Help = "write it percent-encoded"
		}
	}
	for _, kv := range q.Cookies {
		if kv.Key.V == "" || strings.ContainsAny(kv.Key.V, "=; ") || strings.Contains(kv.Value.V, ";") || spaced(strings.ReplaceAll(kv.Key.V+kv.Value.V, " ", "")) {
			x.report(diag.WrongValue, kv.Key.At, "%s: cookie %q cannot be sent as it is written", x.what, kv.Key.V)
		}
	}
	if q.IP != nil {
		if ip, err := netip.ParseAddr(q.IP.V); err != nil || ip.Zone() != "" {
			x.report(diag.WrongValue, q.IP.At, "%s: %q is not an address", x.what, q.IP.V)
		}
	}
	x.client(q.ClientIP)
	x.tokens(q.Claims, sec)
}

// client is what somebody in front of a gateway is believed to tell.
func (x *expected) client(ip *intent.Value[string]) {
	if ip == nil || x.gateway == nil {
		return
	}
	if a, err := netip.ParseAddr(ip.V); err != nil || a.Zone() != "" {
		x.report(diag.WrongValue, ip.At, "%s: %q is not an address", x.what, ip.V)
	}
	for _, l := range x.gateway.Listeners {
		if (x.e.Port == nil || x.e.Port.V == l.Name.V) && tellsClient(x.gateway, l) {
			return
		}
	}
	d := x.report(diag.ClientNotTold, ip.At, "%s: nobody in front of gateway %q is believed about clients, so `clientIP` would be `ip`", x.what, x.gateway.Name.V)
	d.Help = "write `ip`"
}

// spaced says that a text has a space or a control character.
func spaced(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f })
}

// requestPath is in the form in which rules see it: proxies bring every path into
// normal form first.
func (x *expected) requestPath(v *intent.Value[string]) {
	d, err := reach.Find(reach.Is(reach.Dim{Kind: reach.Path}, reach.Exactly(v.V)))
	switch {
	case strings.ContainsAny(v.V, "?#"):
		x.report(diag.BadPath, v.At, "path %q holds a query string or a fragment", v.V).Help = "use `query`"
	case !strings.HasPrefix(v.V, "/"):
		x.report(diag.BadPath, v.At, "path %q does not begin with \"/\"", v.V).Help = "every path of a request begins with \"/\""
	case err == nil && d == nil:
		x.report(diag.BadPath, v.At, "no rule sees a request with path %q", v.V).Help = "write it in normal form: without dot segments, and percent-encoded only where that is needed"
	}
}

// tokens are of providers that are asked for.
func (x *expected) tokens(list []*intent.TokenClaims, sec *intent.Security) {
	var known []string
	if sec != nil {
		for _, t := range sec.JWT {
			known = append(known, t.Name.V)
		}
	}
	for _, p := range list {
		if !slices.Contains(known, p.Provider.V) {
			d := x.report(diag.UnknownProvider, p.Provider.At, "%s: nobody here verifies tokens of %q", x.what, p.Provider.V)
			meantLabel(d, p.Provider, known, false)
		}
		for _, kv := range p.Of {
			if why := badClaim(kv.Key.V); why != "" {
				x.report(diag.BadClaim, kv.Key.At, "claim %q %s", literal.Clip(kv.Key.V), why)
			}
		}
	}
}
