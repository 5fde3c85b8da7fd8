package behave

import (
	"slices"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// rule gives the requests for which when holds an outcome; of several rules the
// first counts.
type rule struct {
	when  reach.Pred
	then  *Outcome // rules may share one: see change
	from  *source  // nil where again makes it
	again *again
	nth   int // of again
}

// source of the rule.
func (r *rule) source() *source {
	if r.again != nil {
		return r.again.source(r.nth)
	}
	return r.from
}

// again is a route of which it is known already what its rules do, so that they
// are made only if somebody asks where they are written.
type again struct {
	door  *door
	route *model.Route
	rules []rule
}

func (a *again) source(nth int) *source {
	if a.rules == nil {
		a.rules = portRules(a.door, a.route)
	}
	return a.rules[nth].from
}

// change gives the rule an outcome of its own, changed.
func (r *rule) change(how func(*Outcome)) {
	then := *r.then
	how(&then)
	r.then = &then
}

// table is what an object does on one port: the first rule that holds, and
// otherwise where none does.
type table struct {
	rules     []rule
	otherwise *Outcome
	from      *source
}

// nowhere is the table of a port that nothing listens on.
func nowhere() table { return table{otherwise: &Outcome{Verdict: Nowhere}, from: &source{}} }

var identity = reach.Dim{Kind: reach.Identity}

// serviceTable is all that s does to requests of its callers on a port. A caller
// presents its identity wherever the server asks for one. Who declares to use
// the service is no part of it.
func serviceTable(s *model.Service, port uint16) table {
	t, _ := serviceRules(s, port, nil)
	return t
}

// serviceTables are those of two versions of a service. What routes that are the
// same as written do is the same, so that it is judged once.
func serviceTables(before, after *model.Service, port uint16) (table, table) {
	old, spans := serviceRules(before, port, nil)
	if before == nil || after == nil || len(spans) == 0 || !sameAsWritten(routeless(before), routeless(after)) {
		now, _ := serviceRules(after, port, nil)
		return old, now
	}
	byName := make(map[string]int, len(before.Routes))
	for i, r := range before.Routes {
		byName[r.Name] = i
	}
	now, _ := serviceRules(after, port, func(r *model.Route) []rule {
		k, ok := byName[r.Name]
		if !ok || !sameAsWritten(before.Routes[k], r) {
			return nil
		}
		return old.rules[spans[k].from:spans[k].to]
	})
	return old, now
}

// routeless is a service without its routes.
func routeless(s *model.Service) *model.Service {
	out := *s
	out.Routes = nil
	return &out
}

// span is a stretch of rules.
type span struct{ from, to int }

// serviceRules is the table of s, and which of its rules each route has made.
// known gives rules that do what those of a route do, none for others; it may be
// nil.
func serviceRules(s *model.Service, port uint16, known func(*model.Route) []rule) (table, []span) {
	if s == nil || s.Port(port) == nil {
		return nowhere(), nil
	}
	out := table{otherwise: &Outcome{Verdict: NoRoute}, from: &source{service: s, origin: s.Origin}}
	out.rules = make([]rule, 0, 5*len(s.Routes))
	spans := make([]span, len(s.Routes))
	d := &door{service: s, port: port, who: anybody{}}
	for i, r := range s.Routes {
		spans[i].from = len(out.rules)
		if same := knownRules(known, r); len(same) > 0 {
			made := &again{door: d, route: r}
			for n, one := range same {
				out.rules = append(out.rules, rule{when: one.when, then: one.then, again: made, nth: n})
			}
		} else {
			out.rules = append(out.rules, portRules(d, r)...)
		}
		spans[i].to = len(out.rules)
	}
	return out, spans
}

func knownRules(known func(*model.Route) []rule, r *model.Route) []rule {
	if known == nil {
		return nil
	}
	return known(r)
}

// portRules are those of a route on the port of a door.
func portRules(d *door, r *model.Route) []rule {
	if !slices.Contains(r.Ports, d.port) {
		return nil
	}
	if len(r.Faulted) == 0 {
		return variantRules(d, r)
	}
	var out []rule
	for _, variant := range r.Variants() {
		out = append(out, variantRules(d, variant)...)
	}
	return out
}

// variantRules are those of the callers that faults single out, and of all others.
func variantRules(d *door, r *model.Route) []rule {
	takes := reach.All(reach.OfMatches(r.Match), fromCallers(r))
	rules := func(r *model.Route, when reach.Pred) []rule {
		return routeRules(d, r, when, &source{name: r.Name, service: d.service, route: r, origin: r.Origin})
	}
	if len(r.Faulted) == 0 && len(r.Faults()) == 0 {
		return rules(r, takes)
	}
	var out []rule
	for _, c := range r.Chosen() {
		out = append(out, rules(r.ForCaller(c.Ref), reach.All(takes, reach.Is(identity, reach.Exactly(c.SPIFFEID))))...)
	}
	return append(out, rules(r.ForCaller(model.Ref{}), takes)...)
}

// routeRules are one route's. A substitution in the path changes those paths
// only in which its expression matches.
func routeRules(d *door, r *model.Route, takes reach.Pred, from *source) []rule {
	var changed *model.Substitution
	var rewrite *model.Rewrite
	redirect := r.Redirect
	switch {
	case r.Rewrite != nil && r.Rewrite.Path != nil:
		changed = r.Rewrite.Path
		if r.Rewrite.Host != "" {
			rewrite = &model.Rewrite{Host: r.Rewrite.Host, Origin: r.Rewrite.Origin}
		}
	case r.Redirect != nil && r.Redirect.Path == "" && r.Redirect.Rewrite != nil:
		changed, rewrite = r.Redirect.Rewrite, r.Rewrite
		kept := *r.Redirect
		kept.Rewrite = nil
		redirect = &kept
	default:
		return ruledBy(d, r, takes, from)
	}
	plain := *r
	plain.Rewrite, plain.Redirect = rewrite, redirect
	touched := reach.All(takes, reach.Is(reach.Dim{Kind: reach.Path}, reach.Matching("(?s:.*)(?:"+changed.Pattern+")(?s:.*)")))
	return append(ruledBy(d, r, touched, from), ruledBy(d, &plain, takes, from)...)
}

// Outcomes that are nothing but a verdict.
var (
	refused = &Outcome{Verdict: Refused}
	unknown = &Outcome{Verdict: Unknown}
	denied  = &Outcome{Verdict: Denied}
)

// ruledBy says who is let in, and, where retries depend on the method, what
// follows with them and without.
func ruledBy(d *door, r *model.Route, takes reach.Pred, from *source) []rule {
	s := d.service
	made := outcomeOf(s, d.port, r)
	then := &made
	if then.Verdict != Served {
		return []rule{{when: takes, then: then, from: from}}
	}
	in := d.letting(r, from.gateway)
	here := *from
	here.port, here.who = d.port, in.v.who
	from = &here
	out := make([]rule, 0, 5)
	if s.ModeOn(d.port) == model.MTLSStrict {
		out = append(out, rule{when: reach.All(takes, in.v.who.unknown()), then: refused, from: &source{name: r.Name, origin: s.Origin}})
	}
	then.Asks = asks(s.Authorizer)
	then.Tokens = tokenTexts(s.JWT)
	if len(model.Requiring(s.JWT)) > 0 {
		out = append(out, rule{when: reach.All(takes, in.tokenless), then: unknown, from: &source{name: r.Name, origin: s.JWT[0].Origin}})
	}
	says := in.says
	out = append(out, rule{when: reach.All(takes, says.denied), then: denied, from: &source{name: r.Name, origin: rulesAt(s)}})
	for _, o := range in.saved {
		perhaps := *then
		perhaps.Judged = "public if any of [" + o.conditions + "]"
		for _, more := range says.open {
			perhaps.Judged += "; " + more.conditions
		}
		out = retried(out, reach.All(takes, o.when), &perhaps, r, from)
	}
	if len(says.open) > 0 {
		out = retried(out, reach.All(takes, says.allowed), then, r, from)
	}
	for _, o := range says.open {
		perhaps := *then
		perhaps.Judged = o.conditions
		out = retried(out, reach.All(takes, o.when), &perhaps, r, from)
	}
	out = in.v.asked(s.Authorizer, retried(out, takes, then, r, from))
	return limited(out, ofRoute(s.RateLimits, ""), false, in.v)
}

// rulesAt is where it says who is let in.
func rulesAt(s *model.Service) model.Origin {
	for _, r := range append(s.Allow[:len(s.Allow):len(s.Allow)], s.Deny...) {
		if !r.Origin.IsZero() {
			return r.Origin
		}
	}
	return s.Origin
}

// retried adds an outcome with the retries of its route, for the methods that they
// are for.
func retried(rules []rule, takes reach.Pred, then *Outcome, r *model.Route, from *source) []rule {
	again := retry(r.Retry)
	if again == nil {
		return append(rules, rule{when: takes, then: then, from: from})
	}
	with := *then
	with.Retry = again
	if len(r.Retry.Methods) == 0 {
		return append(rules, rule{when: takes, then: &with, from: from})
	}
	some := reach.All(takes, reach.OfMethods(r.Retry.Methods))
	return append(rules, rule{when: some, then: &with, from: from}, rule{when: takes, then: then, from: from})
}

func mapped[T, U any](list []T, f func(T) U) []U {
	out := make([]U, len(list))
	for i, v := range list {
		out[i] = f(v)
	}
	return out
}

// fromCallers are the identities of those in whose proxies a route exists.
func fromCallers(r *model.Route) reach.Pred {
	if len(r.From) == 0 {
		return reach.All()
	}
	return reach.Any(mapped(r.From, func(c model.Caller) reach.Pred { return reach.Is(identity, reach.Exactly(c.SPIFFEID)) })...)
}
