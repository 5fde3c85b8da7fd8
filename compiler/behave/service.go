package behave

import (
	"errors"
	"slices"
	"strconv"
	"strings"

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

// rewrittenPath is the Unknown of a service whose server judges a path that a
// route has rewritten: conditions on it are not conditions on the request.
func rewrittenPath(s *model.Service) error {
	if s == nil || !slices.ContainsFunc(s.Allow, func(a model.Allow) bool { return len(a.Paths) > 0 }) {
		return nil
	}
	for _, r := range s.Routes {
		if r.Rewrite != nil && r.Rewrite.Path != nil {
			return &reach.Unknown{Where: "route " + strconv.Quote(r.Name), Err: errRewritten}
		}
	}
	return nil
}

var errRewritten = errors.New("it rewrites the path by which the server allows callers")

// allows is the condition under which the server's proxy lets a request in. In
// plaintext a server knows no identities.
func allows(s *model.Service) reach.Pred {
	var any []reach.Pred
	for _, a := range s.Allow {
		if s.MTLS == model.MTLSDisable && !a.Any {
			continue
		}
		all := []reach.Pred{caller(s, &a)}
		if len(a.Methods) > 0 {
			all = append(all, reach.OfMethods(a.Methods))
		}
		if len(a.Paths) > 0 {
			var paths []reach.Pred
			for _, p := range a.Paths {
				paths = append(paths, reach.OfPath(p))
			}
			all = append(all, reach.Any(paths...))
		}
		any = append(any, reach.All(all...))
	}
	return reach.Any(any...)
}

func caller(s *model.Service, a *model.Allow) reach.Pred {
	identity := reach.Dim{Kind: reach.Identity}
	if a.Any {
		return reach.Pred{}
	}
	if a.Authenticated {
		domain, _, _ := strings.Cut(strings.TrimPrefix(s.SPIFFEID, "spiffe://"), "/")
		return reach.Is(identity, reach.BeginsWith("spiffe://"+domain+"/"))
	}
	var any []reach.Pred
	for _, p := range a.Principals {
		any = append(any, reach.Is(identity, reach.Exactly(p)))
	}
	return reach.Any(any...)
}
