package check

import (
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/scope"
)

// clientTold reports rules on the addresses of clients where nobody in front of
// the gateway is believed to tell them.
func (o *ruleOwner) clientTold(r *intent.Rule) {
	first := firstValue(slices.Concat(r.ClientIPs, r.NotClientIPs))
	if o.gateway == nil || first == nil {
		return
	}
	field, other := "clientIPs", "ips"
	if len(r.ClientIPs) == 0 {
		field, other = "notClientIPs", "notIPs"
	}
	for _, l := range o.gateway.Listeners {
		if r.On(l.Name.V) && tellsClient(o.gateway, l) {
			return
		}
	}
	d := o.report(diag.ClientNotTold, *first, "gateway %q: nobody in front of it is believed about clients where this rule is, so `%s` would be `%s`", o.name, field, other)
	d.Help = "write `" + other + "`, or say who is believed: `trustedHops`, `trustedCIDRs`, or `proxyProtocol` of the listener"
}

// tellsClient says that somebody in front is believed about the clients of a
// listener.
func tellsClient(g *intent.Gateway, l *intent.GatewayListener) bool {
	hops := scope.Or(g.TrustedHops, 0) > 0 || len(g.TrustedCIDRs) > 0
	return scope.Or(l.Proxied, false) || hops && !scope.CarriesBytes(l)
}
