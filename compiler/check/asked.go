package check

import (
	"slices"
	"time"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
)

// What a proxy asks about a request is a request itself, which the proxy of who
// is asked judges like any other.

// The methods of Envoy's protocols by which proxies ask.
const (
	checkMethod = "/envoy.service.auth.v3.Authorization/Check"
	limitMethod = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"
)

// asked is one whom a proxy asks, and where that is written.
type asked struct {
	service model.Ref
	port    uint16
	method  string
	at      diag.Range
}

// askedBy lists whom a proxy asks about a request; about any for nil.
func askedBy(a *model.Authorizer, limits []model.RateLimit, q *answer.Request) []asked {
	var out []asked
	if a != nil && (q == nil || asksAbout(a, q)) {
		out = append(out, asked{a.Service, a.Port, checkMethod, a.Origin})
	}
	for i := range limits {
		if to := limits[i].Server; to != nil && (q == nil || counts(&limits[i], q)) {
			out = append(out, asked{to.Service, to.Port, limitMethod, limits[i].Origin})
		}
	}
	return out
}

func asksAbout(a *model.Authorizer, q *answer.Request) bool {
	among := func(list []model.Rule) bool {
		return slices.ContainsFunc(list, func(r model.Rule) bool { return acceptsAny(r.Matches(), q) })
	}
	return (len(a.On) == 0 || among(a.On)) && !among(a.Except)
}

func counts(l *model.RateLimit, q *answer.Request) bool {
	return len(l.Match) == 0 || acceptsAny(l.Match, q)
}

func acceptsAny(list []model.Match, q *answer.Request) bool {
	return slices.ContainsFunc(list, func(m model.Match) bool { return answer.Accepts(&m, q) })
}

// questions finds those that are answered by nobody: in circles, or because who
// is asked does not let them in.
func (c *overModel) questions() {
	for _, s := range c.mesh.Services {
		for _, to := range askedBy(s.Authorizer, s.RateLimits, nil) {
			c.asksInCircles(s, to)
			c.questionRefused("service "+s.Ref.String(), s.SPIFFEID, to)
		}
	}
	for _, g := range c.mesh.Gateways {
		for _, to := range askedBy(g.Authorizer, g.RateLimits, nil) {
			c.questionRefused("gateway "+g.Ref.String(), g.SPIFFEID, to)
		}
	}
}

// asksInCircles follows a question to whom it makes others ask.
func (c *overModel) asksInCircles(s *model.Service, first asked) {
	seen := map[model.Ref]bool{}
	for next := []asked{first}; len(next) > 0; next = next[1:] {
		to := c.mesh.Service(next[0].service)
		switch {
		case to == nil || seen[to.Ref]:
			continue
		case to == s:
			c.report(diag.AsksInCircles, first.at, "service %q asks %q about its requests, and is asked about those questions itself: no request is ever let in", s.Name, first.service)
			return
		}
		seen[to.Ref] = true
		q := &answer.Request{Method: "POST", Host: to.Host, Target: next[0].method}
		next = append(next, askedBy(to.Authorizer, to.RateLimits, q)...)
	}
}

// questionRefused holds a question against the tokens and rules of who is asked.
// Callers that no rule names are reported where they declare to call it.
func (c *overModel) questionRefused(by, id string, to asked) {
	s := c.mesh.Service(to.service)
	if s == nil || c.has(diag.QuestionRefused, to.at) {
		return
	}
	q := &answer.Request{Method: "POST", Host: s.Host, Target: to.method, Port: to.port}
	why := ""
	if tokens := answer.Authenticate(s.JWT, s.Public, q); tokens != nil && !tokens.Passed {
		why = tokens.Why
	} else {
		if s.ModeOn(to.port) == model.MTLSDisable {
			id = ""
		}
		verdict := answer.Authorize(c.mesh.TrustDomain, s, id, q, to.port)
		named := slices.ContainsFunc(s.Allow, func(r model.Rule) bool { return r.TakesCaller(c.mesh.TrustDomain, id) })
		if verdict.Allowed || !named {
			return
		}
		why = verdict.Rule
	}
	d := c.report(diag.QuestionRefused, to.at, "what the proxy of %s asks service %q is refused there: %s", by, s.Name, why)
	d.Witness = q.Method + " http://" + q.Host + q.Target
	d.Help = "let " + q.Target + " in, without a token"
}

// manyCallers is how many proxies a limit should let ask for health at once.
const manyCallers = 100

// healthJudged remarks health checks that somebody else answers, or that use
// limits up: then every endpoint seems unwell.
func (c *overModel) healthJudged() {
	for _, s := range c.mesh.Services {
		for i := range s.Versions {
			h := s.HealthOf(s.Versions[i].Name)
			if h == nil || h.TCP != nil || c.has(diag.HealthJudged, h.Origin) {
				continue
			}
			q := question(h)
			witness := q.Method + " http://" + q.Host + q.Target
			if a := s.Authorizer; a != nil && asksAbout(a, q) {
				d := c.report(diag.HealthJudged, h.Origin, "the health check of service %q is asked about like any request: %s has to let it in, although it shows nothing but the caller's identity", s.Name, a.Service)
				d.Witness = witness
				continue
			}
			if l := usedUp(s.RateLimits, h.Interval, q); l != nil {
				d := c.report(diag.HealthJudged, h.Origin, "the health check of service %q counts for rate limit %q: %d proxies that ask every %s use it up", s.Name, l.Name, manyCallers, h.Interval)
				d.Witness = witness
				d.Help = "leave the path of the health check out of the limit's `match`"
				d.Related = []diag.Related{{Range: l.Origin, Message: "the limit"}}
			}
		}
	}
}

// usedUp is the first local limit that many callers' health checks use up.
func usedUp(limits []model.RateLimit, interval time.Duration, q *answer.Request) *model.RateLimit {
	for i := range limits {
		l := &limits[i]
		if l.Local == nil || l.Enforced == 0 || !counts(l, q) || interval <= 0 {
			continue
		}
		if float64(l.Local.Requests)/l.Local.Per.Seconds() < manyCallers/interval.Seconds() {
			return l
		}
	}
	return nil
}

// corsByClaims remarks answers to pages of other origins on routes that only a
// token leads to: they are chosen for the request as it is without one, and a
// preflight has none (Fetch standard, 4.8).
func (c *overModel) corsByClaims() {
	for _, g := range c.mesh.Gateways {
		for _, l := range g.Listeners {
			for _, h := range l.Hosts {
				for _, r := range h.Routes {
					byClaims := slices.ContainsFunc(model.OfClaims(g.JWT, r.Route.Match), func(m model.Match) bool { return len(m.Claims) > 0 })
					if r.Route.CORS == nil || !byClaims || c.has(diag.CORSByClaims, r.Origin) {
						continue
					}
					d := c.report(diag.CORSByClaims, r.Origin, "route %q of gateway %q asks for claims, and the `cors` of the route that it leads to is not looked at for it", r.Name, g.Name)
					d.Related = []diag.Related{{Range: r.Route.CORS.Origin, Message: "the `cors`"}}
				}
			}
		}
	}
}
