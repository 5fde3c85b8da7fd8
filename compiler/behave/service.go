package behave

import (
	"errors"
	"slices"
	"strconv"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// rule gives the requests for which when holds an outcome; of several rules the
// first counts.
type rule struct {
	when reach.Pred
	then Outcome
}

// service is the table of all that s does to requests of its callers. A caller
// presents its identity wherever the server asks for one. Whether a caller
// declares to use the service is no part of it. A nil s refuses everything.
func service(s *model.Service) []rule {
	if s == nil {
		return nil
	}
	var out []rule
	allowed := allows(s)
	for _, p := range s.Ports {
		here := reach.Is(reach.Dim{Kind: reach.Port}, reach.Exactly(strconv.Itoa(int(p.Number))))
		for _, r := range s.Routes {
			for _, number := range r.Ports {
				if number == p.Number {
					out = append(out, routeRules(s, number, r, here, allowed)...)
				}
			}
		}
		out = append(out, rule{here, Outcome{Verdict: NoRoute}})
	}
	return out
}

// routeRules are one route's: who is let in, and, where retries depend on the
// method, with them and without.
func routeRules(s *model.Service, port uint16, r *model.Route, here, allowed reach.Pred) []rule {
	takes := reach.All(here, reach.OfMatches(r.Match))
	then := outcomeOf(s, port, r)
	if then.Verdict != Served {
		return []rule{{takes, then}}
	}
	var out []rule
	if s.MTLS == model.MTLSStrict {
		plain := reach.Absent(reach.Dim{Kind: reach.Identity})
		out = append(out, rule{reach.All(takes, plain), Outcome{Verdict: Refused}})
	}
	out = append(out, rule{reach.All(takes, reach.Not(allowed)), Outcome{Verdict: Denied}})
	if again := retry(r.Retry); again != nil {
		with := then
		with.Retry = again
		if len(r.Retry.Methods) == 0 {
			return append(out, rule{takes, with})
		}
		out = append(out, rule{reach.All(takes, reach.OfMethods(r.Retry.Methods)), with})
	}
	return append(out, rule{takes, then})
}

// rewritten is the Unknown of a service whose server judges what a route has
// changed on the way: conditions on it are not conditions on the request.
func rewritten(s *model.Service) error {
	if s == nil {
		return nil
	}
	rules := slices.Concat(s.Allow, s.Deny)
	path := slices.ContainsFunc(rules, func(r model.Rule) bool { return len(r.Paths) > 0 || len(r.NotPaths) > 0 })
	host := slices.ContainsFunc(rules, func(r model.Rule) bool { return len(r.Hosts) > 0 })
	header := slices.ContainsFunc(rules, func(r model.Rule) bool { return len(r.Headers) > 0 })
	for _, r := range s.Routes {
		w := r.Rewrite
		if path && w != nil && w.Path != nil || host && w != nil && w.Host != "" || header && changesHeaders(r) {
			return &reach.Unknown{Where: "route " + strconv.Quote(r.Name), Err: errRewritten}
		}
	}
	return nil
}

func changesHeaders(r *model.Route) bool {
	changes := func(h model.HeaderOps) bool { return len(h.Set)+len(h.Add)+len(h.Remove) > 0 }
	return changes(r.RequestHeaders) || slices.ContainsFunc(r.Split, func(d model.Split) bool { return changes(d.RequestHeaders) })
}

var errRewritten = errors.New("it rewrites what the server allows callers by")
