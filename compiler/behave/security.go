package behave

import (
	"encoding/json"
	"math/bits"
	"net/netip"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// view is a request as those rules see it that judge who is let in, and what is
// known of what was changed on the way.
type view struct {
	domain string // trust domain
	port   uint16
	who    client
	jwt    []model.JWT // that the judging proxy verifies
	// unverified: tokens have not been looked at, and no claims been put into headers.
	unverified bool

	edge     *model.Gateway         // that judges; nil for a service
	listener *model.GatewayListener // of edge

	gateway *model.Gateway // through which it comes; nil for none
	host    string         // that a route has put in the place of the client's; "" for none
	path    *pathWay       // nil: as sent
	fields  map[string]fieldWay
}

// server sees what a route makes of a request on its way. Of one that comes
// through a gateway it sees the gateway's address.
func server(s *model.Service, port uint16, r *model.Route, who client, gateway *model.Gateway) view {
	v := view{domain: domainOf(s.SPIFFEID), port: port, who: who, jwt: s.JWT, gateway: gateway, fields: fieldWays(r)}
	if w := r.Rewrite; w != nil {
		v.host = strings.ToLower(w.Host)
		if w.Path != nil {
			v.path = pathWayOf(w.Path)
		}
	}
	return v
}

// verdict of rules: the requests that they refuse for sure, and those that they
// let in for sure. About others conditions decide that are none on the request.
type verdict struct {
	denied, allowed reach.Pred
	open            []open // the first that holds counts
}

// open is the requests about which the same conditions decide.
type open struct {
	when       reach.Pred
	conditions string
}

// judge says what rules do: a deny rule refuses first, then an allow rule lets
// in, and what is left is refused.
func judge(v view, allow, deny []model.Rule) verdict {
	denySure, denyOpen := v.rules(deny)
	allowSure, allowOpen := v.rules(allow)
	whole := func(list []open) reach.Pred {
		return reach.Any(mapped(list, func(o open) reach.Pred { return o.when })...)
	}
	out := verdict{
		denied:  reach.Any(denySure, reach.Not(reach.Any(allowSure, whole(allowOpen)))),
		allowed: reach.All(allowSure, reach.Not(reach.Any(denySure, whole(denyOpen)))),
	}
	for _, refused := range choices(denyOpen) {
		out.open = append(out.open, open{reach.All(refused.when, allowSure), "none of [" + refused.conditions + "]"})
	}
	for _, refused := range choices(denyOpen) {
		for _, let := range choices(allowOpen) {
			out.open = append(out.open, open{reach.All(refused.when, let.when), "none of [" + refused.conditions + "], any of [" + let.conditions + "]"})
		}
	}
	return out
}

// mostOpen bounds how many conditions are told apart by the requests that they
// are about.
const mostOpen = 4

// choices are the sets of conditions that decide together, the larger ones
// first; the last one is none.
func choices(list []open) []open {
	if len(list) > mostOpen {
		texts := mapped(list, func(o open) string { return o.conditions })
		return []open{{conditions: strings.Join(texts, " ")}}
	}
	out := make([]open, 0, 1<<len(list))
	sets := make([]uint, 1<<len(list))
	for i := range sets {
		sets[i] = uint(i)
	}
	slices.SortStableFunc(sets, func(a, b uint) int { return bits.OnesCount(b) - bits.OnesCount(a) })
	for _, set := range sets {
		var when []reach.Pred
		var texts []string
		for i, o := range list {
			if set>>i&1 == 1 {
				when, texts = append(when, o.when), append(texts, o.conditions)
			}
		}
		out = append(out, open{reach.All(when...), strings.Join(texts, " ")})
	}
	return out
}

// rules is where one of the rules holds: for sure, or where its conditions on
// what was changed on the way do, by these conditions in order.
func (v view) rules(rules []model.Rule) (sure reach.Pred, perhaps []open) {
	var certain []reach.Pred
	byText := map[string][]reach.Pred{}
	for i := range rules {
		who, matches := v.caller(&rules[i]), rules[i].Matches()
		for j := range matches {
			when, hidden := v.arrives(&matches[j])
			if when = reach.All(who, when); hidden == nil {
				certain = append(certain, when)
			} else {
				byText[hidden.String()] = append(byText[hidden.String()], when)
			}
		}
	}
	for _, text := range sortedKeys(byText) {
		perhaps = append(perhaps, open{reach.Any(byText[text]...), text})
	}
	return reach.Any(certain...), perhaps
}

// caller is what a rule asks of who connects, from where and to which port.
func (v view) caller(r *model.Rule) reach.Pred {
	if !r.On(v.port) {
		return reach.Any()
	}
	all := []reach.Pred{v.who.takenBy(r, v.domain), reach.Not(v.within(r.NotIPs)), reach.Not(v.clientWithin(r.NotClientIPs))}
	if len(r.IPs) > 0 {
		all = append(all, v.within(r.IPs))
	}
	if len(r.ClientIPs) > 0 {
		all = append(all, v.clientWithin(r.ClientIPs))
	}
	return reach.All(all...)
}

func (v view) within(networks []string) reach.Pred {
	end := reach.Dim{Kind: reach.Address}
	if v.gateway != nil {
		end.Kind = reach.Through
	}
	return reach.Within(end, networks)
}

// clientWithin is where the client lies in networks: as whoever connects says,
// where that is believed, else as the connection shows.
func (v view) clientWithin(networks []string) reach.Pred {
	said, shown := reach.Within(reach.Dim{Kind: reach.Client}, networks), v.within(networks)
	switch {
	case len(networks) == 0 || v.edge == nil:
		return reach.Any()
	case v.edge.TellsClient(v.listener, netip.Addr{}):
		return said
	case v.listener.Protocol.Opaque() || len(v.edge.TrustedCIDRs) == 0:
		return shown
	}
	believed := v.within(v.edge.TrustedCIDRs)
	return reach.Any(reach.All(believed, said), reach.All(reach.Not(believed), shown))
}

// ruleText is equal for equal rules.
func ruleText(r *model.Rule) string {
	plain := *r
	plain.Origin = model.Origin{}
	plain.Paths, plain.NotPaths = slices.Clone(r.Paths), slices.Clone(r.NotPaths)
	plain.Headers, plain.NotHosts = slices.Clone(r.Headers), slices.Clone(r.NotHosts)
	slices.SortFunc(plain.Paths, reach.ComparePaths)
	slices.SortFunc(plain.NotPaths, reach.ComparePaths)
	slices.SortFunc(plain.Headers, reach.CompareNamed)
	slices.SortFunc(plain.NotHosts, reach.CompareNamed)
	raw, err := json.Marshal(plain)
	if err != nil {
		panic("behave: a rule has no JSON: " + err.Error())
	}
	return string(raw)
}
