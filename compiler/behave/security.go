package behave

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// view is a request as those rules see it that judge who is let in.
type view struct {
	domain string // trust domain
	port   uint16
	who    client
	host   string // that a route has put in the place of the client's; "" for none

	// What was changed on the way, so that conditions on it are no conditions on
	// the client's request.
	path    bool
	address bool
	headers []string
}

// server sees what a route makes of a request on its way. Of one that comes
// through a gateway it sees the gateway's address.
func server(s *model.Service, port uint16, r *model.Route, who client) view {
	v := view{domain: domainOf(s.SPIFFEID), port: port, who: who}
	_, v.address = who.(known)
	if w := r.Rewrite; w != nil {
		v.host, v.path = strings.ToLower(w.Host), w.Path != nil
	}
	touch := func(h model.HeaderOps) {
		for _, kv := range slices.Concat(h.Set, h.Add) {
			v.headers = append(v.headers, kv.Name)
		}
		v.headers = append(v.headers, h.Remove...)
	}
	touch(r.RequestHeaders)
	for _, d := range r.Split {
		touch(d.RequestHeaders)
	}
	return v
}

// verdict of rules: the requests that they refuse for sure, and those that they
// let in for sure. About others conditions decide that are none on the request.
type verdict struct {
	denied, allowed reach.Pred
	conditions      string // equal for equal conditions; "" for none
}

// judge says what rules do: a deny rule refuses first, then an allow rule lets
// in, and what is left is refused.
func judge(v view, allow, deny []model.Rule) verdict {
	denySure, denyPerhaps, denyTexts := v.anyRule(deny)
	allowSure, allowPerhaps, allowTexts := v.anyRule(allow)
	out := verdict{
		denied:  reach.Any(denySure, reach.Not(reach.Any(allowSure, allowPerhaps))),
		allowed: reach.All(allowSure, reach.Not(reach.Any(denySure, denyPerhaps))),
	}
	if len(denyTexts)+len(allowTexts) > 0 {
		out.conditions = "none of [" + strings.Join(denyTexts, " ") + "], and where no other rule allows it any of [" + strings.Join(allowTexts, " ") + "]"
	}
	return out
}

// anyRule is where one of the rules holds: for sure, or where its conditions on
// what was changed on the way do.
func (v view) anyRule(rules []model.Rule) (sure, perhaps reach.Pred, texts []string) {
	var certain, open []reach.Pred
	for i := range rules {
		when, hidden := v.holds(&rules[i])
		if hidden {
			open = append(open, when)
			texts = append(texts, ruleText(&rules[i]))
		} else {
			certain = append(certain, when)
		}
	}
	slices.Sort(texts)
	return reach.Any(certain...), reach.Any(open...), slices.Compact(texts)
}

// holds is the condition of one rule on the client's request; hidden says that
// it has more, on what was changed on the way.
func (v view) holds(r *model.Rule) (when reach.Pred, hidden bool) {
	plain := *r
	if v.host != "" && len(plain.Hosts) > 0 {
		if !slices.ContainsFunc(plain.Hosts, func(h model.NamedMatch) bool { return reach.AcceptsHeader(h, []string{v.host}) }) {
			return reach.Any(), false
		}
		plain.Hosts = nil
	}
	if v.path && len(plain.Paths)+len(plain.NotPaths) > 0 {
		plain.Paths, plain.NotPaths, hidden = nil, nil, true
	}
	if v.address && plain.ByAddress() {
		plain.IPs, plain.NotIPs, hidden = nil, nil, true
	}
	seen := slices.DeleteFunc(slices.Clone(plain.Headers), func(h model.NamedMatch) bool { return slices.Contains(v.headers, h.Name) })
	hidden = hidden || len(seen) < len(plain.Headers)
	plain.Headers = seen
	matches := plain.Matches()
	if len(matches) == 0 || !plain.On(v.port) {
		return reach.Any(), false // methods of which each is excluded, or another port
	}
	all := []reach.Pred{v.who.takenBy(&plain, v.domain), reach.OfMatches(matches), reach.Not(within(plain.NotIPs))}
	if len(plain.IPs) > 0 {
		all = append(all, within(plain.IPs))
	}
	return reach.All(all...), hidden
}

func within(networks []string) reach.Pred {
	var any []reach.Pred
	for _, n := range networks {
		if p, err := netip.ParsePrefix(n); err == nil {
			any = append(any, reach.Is(reach.Dim{Kind: reach.Address}, reach.In(p)))
		}
	}
	return reach.Any(any...)
}

// ruleText is equal for equal rules.
func ruleText(r *model.Rule) string {
	plain := *r
	plain.Origin = model.Origin{}
	raw, err := json.Marshal(plain)
	if err != nil {
		panic("behave: a rule has no JSON: " + err.Error())
	}
	return string(raw)
}
