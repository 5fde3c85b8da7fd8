package behave

import (
	"encoding/json"
	"net/netip"
	"regexp/syntax"
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
	stem    string // that the path begins with whatever it was, if path
	address bool
	headers []string
}

// server sees what a route makes of a request on its way. Of one that comes
// through a gateway it sees the gateway's address.
func server(s *model.Service, port uint16, r *model.Route, who client) view {
	v := view{domain: domainOf(s.SPIFFEID), port: port, who: who}
	_, v.address = who.(known)
	if w := r.Rewrite; w != nil {
		v.host = strings.ToLower(w.Host)
		if w.Path != nil {
			v.path, v.stem = true, stem(w.Path)
		}
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
	for set := range 1 << len(list) {
		var when []reach.Pred
		var texts []string
		for i, o := range list {
			if set>>i&1 == 1 {
				when, texts = append(when, o.when), append(texts, o.conditions)
			}
		}
		out = append(out, open{reach.All(when...), strings.Join(texts, " ")})
	}
	slices.SortStableFunc(out, func(a, b open) int { return strings.Count(b.conditions, "{") - strings.Count(a.conditions, "{") })
	return out
}

// rules is where one of the rules holds: for sure, or where its conditions on
// what was changed on the way do, by these conditions in order.
func (v view) rules(rules []model.Rule) (sure reach.Pred, perhaps []open) {
	var certain []reach.Pred
	byText := map[string][]reach.Pred{}
	for i := range rules {
		when, hidden := v.holds(&rules[i])
		if hidden == nil {
			certain = append(certain, when)
		} else {
			text := ruleText(hidden)
			byText[text] = append(byText[text], when)
		}
	}
	for _, text := range sortedKeys(byText) {
		perhaps = append(perhaps, open{reach.Any(byText[text]...), text})
	}
	return reach.Any(certain...), perhaps
}

// holds is the condition of one rule on the client's request; hidden are those
// that it has on what was changed on the way, nil for none.
func (v view) holds(r *model.Rule) (when reach.Pred, hidden *model.Rule) {
	plain, rest := *r, model.Rule{}
	if v.host != "" && len(plain.Hosts) > 0 {
		if !slices.ContainsFunc(plain.Hosts, func(h model.NamedMatch) bool { return reach.AcceptsHeader(h, []string{v.host}) }) {
			return reach.Any(), nil
		}
		plain.Hosts = nil
	}
	if v.path {
		never := false
		if rest.Paths, rest.NotPaths, never = v.undecided(r); never {
			return reach.Any(), nil
		}
		plain.Paths, plain.NotPaths = nil, nil
	}
	if v.address { // a gateway may have taken the token out
		rest.IPs, rest.NotIPs, rest.Claims = plain.IPs, plain.NotIPs, plain.Claims
		plain.IPs, plain.NotIPs, plain.Claims = nil, nil, nil
	}
	touched := func(h model.NamedMatch) bool { return slices.Contains(v.headers, h.Name) }
	plain.Headers = slices.DeleteFunc(slices.Clone(r.Headers), touched)
	rest.Headers = slices.DeleteFunc(slices.Clone(r.Headers), func(h model.NamedMatch) bool { return !touched(h) })
	if rest.HTTP() || rest.ByAddress() {
		hidden = &rest
	}
	matches := plain.Matches()
	if len(matches) == 0 || !plain.On(v.port) {
		return reach.Any(), nil // methods of which each is excluded, or another port
	}
	all := []reach.Pred{v.who.takenBy(&plain, v.domain), reach.OfMatches(matches), reach.Not(within(plain.NotIPs))}
	if len(plain.IPs) > 0 {
		all = append(all, within(plain.IPs))
	}
	return reach.All(all...), hidden
}

// undecided are the conditions of a rule on the path that the stem does not
// decide; never says that it decides against the rule.
func (v view) undecided(r *model.Rule) (paths, notPaths []model.PathMatch, never bool) {
	begins := model.PathMatch{Kind: model.Prefix, Value: v.stem}
	holds := func(p model.PathMatch) bool { return reach.PathCovers(p, begins) }
	fails := func(p model.PathMatch) bool { return reach.PathsDisjoint(p, begins) }
	if !slices.ContainsFunc(r.Paths, holds) {
		paths = slices.DeleteFunc(slices.Clone(r.Paths), fails)
		never = len(paths) == 0 && len(r.Paths) > 0
	}
	notPaths = slices.DeleteFunc(slices.Clone(r.NotPaths), fails)
	return paths, notPaths, never || slices.ContainsFunc(r.NotPaths, holds)
}

// stem is what begins every path that the substitution has changed: the text up
// to its first group, if it takes the place of the path's beginning.
func stem(s *model.Substitution) string {
	re, err := syntax.Parse(s.Pattern, syntax.Perl)
	if err != nil {
		return ""
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil || prog.StartCond()&syntax.EmptyBeginText == 0 {
		return ""
	}
	text, _, _ := strings.Cut(s.Text, "\\")
	return text
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
	plain.Paths, plain.NotPaths, plain.Headers = slices.Clone(r.Paths), slices.Clone(r.NotPaths), slices.Clone(r.Headers)
	slices.SortFunc(plain.Paths, reach.ComparePaths)
	slices.SortFunc(plain.NotPaths, reach.ComparePaths)
	slices.SortFunc(plain.Headers, reach.CompareNamed)
	raw, err := json.Marshal(plain)
	if err != nil {
		panic("behave: a rule has no JSON: " + err.Error())
	}
	return string(raw)
}
