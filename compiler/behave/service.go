package behave

import (
	"slices"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// rule gives the requests for which when holds an outcome; of several rules the
// first counts.
type rule struct {
	when reach.Pred
	then *Outcome // rules may share one: see change
	from *source
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
	t, _ := serviceRules(s, port)
	return t
}

// serviceTables are those of two versions of a service. What routes that are the
// same as written do is the same, so that it is judged once.
func serviceTables(before, after *model.Service, port uint16) (table, table) {
	old, oldOf := serviceRules(before, port)
	now, nowOf := serviceRules(after, port)
	if before == nil || after == nil || !sameAsWritten(routeless(before), routeless(after)) {
		return old, now
	}
	byName := make(map[string]int, len(before.Routes))
	for i, r := range before.Routes {
		byName[r.Name] = i
	}
	for i, r := range after.Routes {
		k, ok := byName[r.Name]
		if !ok || i >= len(nowOf) || k >= len(oldOf) || !sameAsWritten(before.Routes[k], r) {
			continue
		}
		for n, same := range old.rules[oldOf[k].from:oldOf[k].to] {
			one := &now.rules[nowOf[i].from+n]
			one.when, one.then = same.when, same.then
		}
	}
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
func serviceRules(s *model.Service, port uint16) (table, []span) {
	if s == nil || s.Port(port) == nil {
		return nowhere(), nil
	}
	out := table{otherwise: &Outcome{Verdict: NoRoute}, from: &source{service: s, origin: s.Origin}}
	spans := make([]span, len(s.Routes))
	d := &door{service: s, port: port, who: anybody{}}
	for i, r := range s.Routes {
		spans[i].from = len(out.rules)
		if slices.Contains(r.Ports, port) {
			for _, variant := range r.Variants() {
				out.rules = append(out.rules, variantRules(d, variant)...)
			}
		}
		spans[i].to = len(out.rules)
	}
	return out, spans
}

// variantRules are those of the callers that faults single out, and of all others.
func variantRules(d *door, r *model.Route) []rule {
	s := d.service
	takes := reach.All(reach.OfMatches(r.Match), fromCallers(r))
	var out []rule
	add := func(r *model.Route, when reach.Pred) {
		from := &source{name: r.Name, service: s, route: r, origin: r.Origin}
		out = append(out, routeRules(d, r, when, from)...)
	}
	for _, c := range r.Chosen() {
		add(r.ForCaller(c.Ref), reach.All(takes, reach.Is(identity, reach.Exactly(c.SPIFFEID))))
	}
	add(r.ForCaller(model.Ref{}), takes)
	return out
}

// routeRules are one route's. A substitution in the path changes those paths
// only in which its expression matches.
func routeRules(d *door, r *model.Route, takes reach.Pred, from *source) []rule {
	plain := *r
	var changed *model.Substitution
	switch {
	case r.Rewrite != nil && r.Rewrite.Path != nil:
		changed = r.Rewrite.Path
		plain.Rewrite = nil
		if r.Rewrite.Host != "" {
			plain.Rewrite = &model.Rewrite{Host: r.Rewrite.Host, Origin: r.Rewrite.Origin}
		}
	case r.Redirect != nil && r.Redirect.Path == "" && r.Redirect.Rewrite != nil:
		changed = r.Redirect.Rewrite
		kept := *r.Redirect
		kept.Rewrite = nil
		plain.Redirect = &kept
	default:
		return ruledBy(d, r, takes, from)
	}
	touched := reach.All(takes, reach.Is(reach.Dim{Kind: reach.Path}, reach.Matching("(?s:.*)(?:"+changed.Pattern+")(?s:.*)")))
	return append(ruledBy(d, r, touched, from), ruledBy(d, &plain, takes, from)...)
}

// ruledBy says who is let in, and, where retries depend on the method, what
// follows with them and without.
func ruledBy(d *door, r *model.Route, takes reach.Pred, from *source) []rule {
	s := d.service
	made := outcomeOf(s, d.port, r)
	then := &made
	if then.Verdict != Served {
		return []rule{{takes, then, from}}
	}
	in := d.letting(r, from.gateway)
	here := *from
	here.port, here.who = d.port, in.v.who
	from = &here
	out := make([]rule, 0, 4)
	if s.ModeOn(d.port) == model.MTLSStrict {
		out = append(out, rule{reach.All(takes, in.v.who.unknown()), &Outcome{Verdict: Refused}, &source{name: r.Name, origin: s.Origin}})
	}
	then.Asks = asks(s.Authorizer)
	then.Tokens = tokenTexts(s.JWT)
	if len(model.Requiring(s.JWT)) > 0 {
		out = append(out, rule{reach.All(takes, in.tokenless), &Outcome{Verdict: Unknown}, &source{name: r.Name, origin: s.JWT[0].Origin}})
	}
	says := in.says
	out = append(out, rule{reach.All(takes, says.denied), &Outcome{Verdict: Denied}, &source{name: r.Name, origin: rulesAt(s)}})
	for _, o := range in.saved {
		perhaps := *then
		perhaps.Judged = "public if any of [" + o.conditions + "]"
		for _, more := range says.open {
			perhaps.Judged += "; " + more.conditions
		}
		out = append(out, retried(reach.All(takes, o.when), &perhaps, r, from)...)
	}
	if len(says.open) > 0 {
		out = append(out, retried(reach.All(takes, says.allowed), then, r, from)...)
	}
	for _, o := range says.open {
		perhaps := *then
		perhaps.Judged = o.conditions
		out = append(out, retried(reach.All(takes, o.when), &perhaps, r, from)...)
	}
	out = in.v.asked(s.Authorizer, append(out, retried(takes, then, r, from)...))
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

// retried gives an outcome the retries of its route, for the methods that they
// are for.
func retried(takes reach.Pred, then *Outcome, r *model.Route, from *source) []rule {
	again := retry(r.Retry)
	if again == nil {
		return []rule{{takes, then, from}}
	}
	with := *then
	with.Retry = again
	if len(r.Retry.Methods) == 0 {
		return []rule{{takes, &with, from}}
	}
	return []rule{{reach.All(takes, reach.OfMethods(r.Retry.Methods)), &with, from}, {takes, then, from}}
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
