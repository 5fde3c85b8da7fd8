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
	then Outcome
	from source
}

// table is what an object does on one port: the first rule that holds, and
// otherwise where none does.
type table struct {
	rules     []rule
	otherwise Outcome
	from      source
}

// nowhere is the table of a port that nothing listens on.
func nowhere() table { return table{otherwise: Outcome{Verdict: Nowhere}} }

var identity = reach.Dim{Kind: reach.Identity}

// serviceTable is all that s does to requests of its callers on a port. A caller
// presents its identity wherever the server asks for one. Who declares to use
// the service is no part of it.
func serviceTable(s *model.Service, port uint16) table {
	if s == nil || s.Port(port) == nil {
		return nowhere()
	}
	out := table{otherwise: Outcome{Verdict: NoRoute}, from: source{service: s, origin: s.Origin}}
	for _, r := range s.Routes {
		if slices.Contains(r.Ports, port) {
			for _, variant := range r.Variants() {
				out.rules = append(out.rules, variantRules(s, port, variant)...)
			}
		}
	}
	return out
}

// variantRules are those of the callers that faults single out, and of all others.
func variantRules(s *model.Service, port uint16, r *model.Route) []rule {
	takes := reach.All(reach.OfMatches(r.Match), fromCallers(r))
	var out []rule
	add := func(r *model.Route, when reach.Pred) {
		from := source{name: r.Name, service: s, route: r, origin: r.Origin}
		out = append(out, routeRules(s, port, r, when, from, anybody{})...)
	}
	for _, c := range r.Chosen() {
		add(r.ForCaller(c.Ref), reach.All(takes, reach.Is(identity, reach.Exactly(c.SPIFFEID))))
	}
	add(r.ForCaller(model.Ref{}), takes)
	return out
}

// routeRules are one route's. A substitution in the path changes those paths
// only in which its expression matches.
func routeRules(s *model.Service, port uint16, r *model.Route, takes reach.Pred, from source, who client) []rule {
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
		return ruledBy(s, port, r, takes, from, who)
	}
	touched := reach.All(takes, reach.Is(reach.Dim{Kind: reach.Path}, reach.Matching("(?s:.*)(?:"+changed.Pattern+")(?s:.*)")))
	return append(ruledBy(s, port, r, touched, from, who), ruledBy(s, port, &plain, takes, from, who)...)
}

// ruledBy says who is let in, and, where retries depend on the method, what
// follows with them and without.
func ruledBy(s *model.Service, port uint16, r *model.Route, takes reach.Pred, from source, who client) []rule {
	then := outcomeOf(s, port, r)
	if then.Verdict != Served {
		return []rule{{takes, then, from}}
	}
	v := server(s, port, r, who, from.gateway)
	if s.ModeOn(port) == model.MTLSDisable {
		v.who = known("")
	}
	from.port, from.who = port, v.who
	var out []rule
	if s.ModeOn(port) == model.MTLSStrict {
		out = append(out, rule{reach.All(takes, v.who.unknown()), Outcome{Verdict: Refused}, source{name: r.Name, origin: s.Origin}})
	}
	then.Asks = asks(s.Authorizer)
	then.Tokens = tokenTexts(s.JWT)
	tokenless, saved := v.tokenless(s.JWT, s.Public)
	if len(model.Requiring(s.JWT)) > 0 {
		out = append(out, rule{reach.All(takes, tokenless), Outcome{Verdict: Unknown}, source{name: r.Name, origin: s.JWT[0].Origin}})
	}
	says := judge(v, s.Allow, s.Deny)
	out = append(out, rule{reach.All(takes, says.denied), Outcome{Verdict: Denied}, source{name: r.Name, origin: rulesAt(s)}})
	for _, o := range saved {
		perhaps := then
		perhaps.Judged = "public if any of [" + o.conditions + "]"
		for _, more := range says.open {
			perhaps.Judged += "; " + more.conditions
		}
		out = append(out, retried(reach.All(takes, o.when), perhaps, r, from)...)
	}
	if len(says.open) > 0 {
		out = append(out, retried(reach.All(takes, says.allowed), then, r, from)...)
	}
	for _, o := range says.open {
		perhaps := then
		perhaps.Judged = o.conditions
		out = append(out, retried(reach.All(takes, o.when), perhaps, r, from)...)
	}
	out = v.asked(s.Authorizer, append(out, retried(takes, then, r, from)...))
	return limited(out, ofRoute(s.RateLimits, ""), false, v)
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
func retried(takes reach.Pred, then Outcome, r *model.Route, from source) []rule {
	again := retry(r.Retry)
	if again == nil {
		return []rule{{takes, then, from}}
	}
	with := then
	with.Retry = again
	if len(r.Retry.Methods) == 0 {
		return []rule{{takes, with, from}}
	}
	return []rule{{reach.All(takes, reach.OfMethods(r.Retry.Methods)), with, from}, {takes, then, from}}
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
