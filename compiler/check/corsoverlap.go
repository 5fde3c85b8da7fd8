package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// preflights finds `cors` of routes to which the preflights of their requests do
// not come, and origins that another entry of the list names too.
func (c *overModel) preflights() {
	for _, s := range c.in.services {
		t := corsTable{overModel: c, host: s.Host, where: everyoneOf(s, c.callersTold(s)), said: map[diag.Range]bool{}, allowance: &reach.Allowance{}}
		for _, r := range s.Routes {
			t.rules = append(t.rules, corsRule{fmt.Sprintf("route %q", r.Name), r.Origin, r.CORS, reach.All(reach.OfPorts(r.Ports), fromOf(r), reach.OfMatches(r.Match))})
			c.origins(r)
		}
		if err := t.judge(); err != nil {
			c.undecidedPart(s.Origin, fmt.Sprintf("service %q", s.Ref), answeredPreflights, err)
		}
	}
	for _, g := range c.in.gateways {
		said, allowance := map[diag.Range]bool{}, reach.Allowance{}
		for _, l := range g.Listeners {
			c.eachHost(&allowance, g, l, func(model.GatewayHost) {}, func(h model.GatewayHost) error {
				t := corsTable{overModel: c, host: exampleHost(h.Host), port: l.Port, rules: corsRules(g, h), said: said, allowance: &allowance}
				return t.judge()
			}, answeredPreflights)
		}
	}
}

const answeredPreflights = "preflights come to the routes that answer them"

// corsRules are the routes of a gateway on one host.
func corsRules(g *model.Gateway, h model.GatewayHost) []corsRule {
	var out []corsRule
	for _, r := range h.Routes {
		cors := r.Route.CORS
		if slices.ContainsFunc(model.OfClaims(g.JWT, r.Route.Match), func(m model.Match) bool { return len(m.Claims) > 0 }) {
			cors = nil // not looked at (corsByClaims)
		}
		out = append(out, corsRule{fmt.Sprintf("gateway route %q", r.Rule()), r.Origin, cors, reach.OfMatches(r.Route.Match)})
	}
	return out
}

// corsTable is a list of rules, of which the first that takes a preflight says
// what becomes of it (Envoy's cors filter asks the route of the request that it
// sees, which is the preflight's own).
type corsTable struct {
	*overModel
	host  string
	port  uint16 // of a gateway
	where reach.Pred
	rules []corsRule
	said  map[diag.Range]bool // rules that are reported

	allowance *reach.Allowance
	space     *reach.Space
	gets      []reach.Set // by rule
}

type corsRule struct {
	name  string
	at    diag.Range
	cors  *model.CORS
	takes reach.Pred
}

func (t *corsTable) judge() error {
	if !slices.ContainsFunc(t.rules, func(r corsRule) bool { return r.cors != nil }) {
		return nil
	}
	preds := []reach.Pred{t.where, reach.OfMethods([]string{"OPTIONS"})}
	for _, r := range t.rules {
		preds = append(preds, r.takes)
		if r.cors != nil {
			preds = append(preds, ofOrigins(r.cors))
		}
	}
	var err error
	if t.space, err = t.allowance.New(append(preds, asksMethod())...); err != nil {
		return err
	}
	left, err := t.space.Set(t.where)
	if err != nil {
		return err
	}
	for _, r := range t.rules {
		takes, err := t.space.Set(r.takes)
		if err != nil {
			return err
		}
		gets, err := t.space.Intersection(left, takes)
		if err != nil {
			return err
		}
		t.gets = append(t.gets, gets)
		if left, err = t.space.Minus(left, takes); err != nil {
			return err
		}
	}
	for i, r := range t.rules {
		if r.cors == nil || t.gets[i].Empty() || t.said[r.cors.Origin] {
			continue
		}
		if err := t.rule(i); err != nil {
			return err
		}
	}
	return nil
}

const askedMethod = "access-control-request-method"

// asksMethod holds for what asks as a preflight does.
func asksMethod() reach.Pred { return reach.Present(reach.Dim{Kind: reach.Header, Name: askedMethod}) }

// ofOrigins holds for requests of pages that a policy is for. What takes the text
// "*" takes every origin (Envoy: CorsFilter::isOriginAllowed).
func ofOrigins(p *model.CORS) reach.Pred {
	origin := reach.Dim{Kind: reach.Header, Name: "origin"}
	var any []reach.Pred
	for _, o := range p.Origins {
		if reach.AcceptsValue(o, "*", true) {
			return reach.Present(origin)
		}
		o.Name = origin.Name
		any = append(any, reach.OfNamed(reach.Header, o))
	}
	return reach.Any(any...)
}

// rule reports a rule when the preflights of its requests, or of some of them,
// come to rules that answer otherwise.
func (t *corsTable) rule(i int) error {
	r := t.rules[i]
	sent, err := t.preflightsOf(t.gets[i], r.cors)
	if err != nil || sent.Empty() {
		return err
	}
	lost, err := t.lost(sent, r.cors)
	if err != nil || lost.Empty() {
		return err
	}
	t.said[r.cors.Origin] = true
	d := t.report(diag.PreflightElsewhere, r.cors.Origin, "%s: preflights for some of its requests are not answered by its `cors`", r.name)
	if lost == sent {
		d.Message = r.name + ": no preflight for its requests is answered by its `cors`"
	}
	q := t.space.Witness(lost)
	if q.Port == 0 {
		q.Port = t.port
	}
	d.Witness = witnessAt(q, t.host)
	d.Help = "let a match of it take OPTIONS without cookies and headers of pages, or give the routes that take them the same `cors`"
	for k, o := range t.rules {
		both, err := t.space.Intersection(lost, t.gets[k])
		if err != nil {
			return err
		}
		if !both.Empty() && !o.at.IsZero() && (o.cors == nil || !sameCORS(o.cors, r.cors)) {
			d.Related = append(d.Related, diag.Related{Range: o.at, Message: "this route takes them"})
		}
	}
	return nil
}

// lost is the preflights that no rule with the policy gets, whatever else browsers
// and proxies on the way write into them.
func (t *corsTable) lost(sent reach.Set, p *model.CORS) (reach.Set, error) {
	var answering []reach.Set
	for k, o := range t.rules {
		if o.cors != nil && sameCORS(o.cors, p) {
			answering = append(answering, t.gets[k])
		}
	}
	answered, err := t.space.Union(answering...)
	if err != nil {
		return answered, err
	}
	if answered, err = t.space.Intersection(sent, answered); err != nil {
		return answered, err
	}
	if answered, err = t.space.Without(answered, func(d reach.Dim) bool { return d.Kind == reach.Header && d.Name != "origin" }); err != nil {
		return answered, err
	}
	return t.space.Minus(sent, answered)
}

// preflightsOf are what browsers send before the requests, from pages of a
// policy's origins: to the same URL, with OPTIONS, and with none of what a page
// or its user adds (Fetch standard, 4.8).
func (t *corsTable) preflightsOf(requests reach.Set, p *model.CORS) (reach.Set, error) {
	urls, err := t.space.Without(requests, func(d reach.Dim) bool {
		return d.Kind == reach.Method || d.Kind == reach.Cookie || d.Kind == reach.Claim || d.Kind == reach.Header
	})
	if err != nil {
		return urls, err
	}
	all := []reach.Pred{reach.OfMethods([]string{"OPTIONS"}), asksMethod(), ofOrigins(p)}
	for _, d := range t.space.Dims() {
		if d.Kind == reach.Cookie || d.Kind == reach.Claim || d.Kind == reach.Header && !ofBrowsers(d.Name) {
			all = append(all, reach.Absent(d))
		}
	}
	sent, err := t.space.Set(reach.All(all...))
	if err != nil {
		return sent, err
	}
	once, err := t.space.Once(reach.Dim{Kind: reach.Header, Name: "origin"})
	if err != nil {
		return once, err
	}
	return t.space.Intersection(urls, sent, once)
}

// ofBrowsers says that a browser, or a proxy on the way, may put a header into a
// preflight.
func ofBrowsers(name string) bool {
	for _, prefix := range []string{"accept", "access-control-request-", "sec-", "x-forwarded-", "x-envoy-", "cf-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return slices.Contains([]string{
		"origin", "referer", "user-agent", "cache-control", "pragma", "priority", "dnt", "connection", "host", "via", "forwarded", "te",
		"x-real-ip", "x-request-id", "traceparent", "tracestate", "true-client-ip", "content-length",
	}, name)
}

// sameCORS says that two policies answer alike.
func sameCORS(a, b *model.CORS) bool {
	return slices.Equal(a.Origins, b.Origins) && slices.Equal(a.Methods, b.Methods) && slices.Equal(a.Headers, b.Headers) &&
		slices.Equal(a.ExposeHeaders, b.ExposeHeaders) && a.MaxAge == b.MaxAge && a.HasMaxAge == b.HasMaxAge && a.Credentials == b.Credentials
}

// origins reports entries of a list of origins that others contain, the second of
// two that say the same.
func (c *overModel) origins(r *model.Route) {
	if r.CORS == nil || len(r.CORS.Origins) < 2 {
		return
	}
	if err := c.coveredOrigins(r); err != nil {
		c.undecidedPart(r.CORS.Origin, fmt.Sprintf("route %q", r.Name), "every origin of `cors` adds one", err)
	}
}

func (c *overModel) coveredOrigins(r *model.Route) error {
	preds := make([]reach.Pred, len(r.CORS.Origins))
	for i, o := range r.CORS.Origins {
		preds[i] = ofOrigins(&model.CORS{Origins: []model.NamedMatch{o}})
	}
	space, err := reach.New(reach.DefaultLimits, preds...)
	if err != nil {
		return err
	}
	sets := make([]reach.Set, len(preds))
	for i, p := range preds {
		if sets[i], err = space.Set(p); err != nil {
			return err
		}
	}
	var kept reach.Set // of the entries behind that are not reported
	for i := len(sets) - 1; i >= 0; i-- {
		if slices.Contains(r.CORS.Origins[:i], r.CORS.Origins[i]) {
			continue // MSH1044
		}
		others, err := space.Union(append(slices.Clone(sets[:i]), kept)...)
		if err != nil {
			return err
		}
		left, err := space.Minus(sets[i], others)
		if err != nil {
			return err
		}
		if left.Empty() {
			d := c.report(diag.OriginCovered, r.CORS.Origin, "route %q: other origins of `cors` take all that %s takes", r.Name, strings.TrimSpace(r.CORS.Origins[i].String()))
			d.Help = "take it away"
			d.Witness = witnessOf(space, sets[i])
			continue
		}
		if kept, err = space.Union(kept, sets[i]); err != nil {
			return err
		}
	}
	return nil
}

func witnessOf(space *reach.Space, set reach.Set) string {
	return witnessAt(space.Witness(set), "any.example")
}
