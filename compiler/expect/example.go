package expect

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
	"github.com/meshc/meshc/compiler/scope"
)

// serviceRequest is the request that an expectation of a service is about.
func (r *running) serviceRequest(svc *model.Service, s *intent.Service, e *intent.Expect) *reach.Request {
	q := requestOf(e.Request)
	q.Scheme, q.Port = "http", portsOf(svc, s, e, false)[0]
	if q.Host == "" {
		q.Host = svc.Host
	}
	return q
}

// gatewayRequest is the request that an expectation of a gateway is about.
func (r *running) gatewayRequest(g *model.Gateway, e *intent.Expect) *reach.Request {
	q := requestOf(e.Request)
	l := listenersOf(g, e)[0]
	q.Scheme, q.Port = "http", l.Port
	if l.Encrypted() {
		q.Scheme = "https"
	}
	return q
}

// listenersOf are those that an expectation is about: the one that it names, or
// all that read requests.
func listenersOf(g *model.Gateway, e *intent.Expect) []*model.GatewayListener {
	var out []*model.GatewayListener
	for i := range g.Listeners {
		l := &g.Listeners[i]
		if e.Port != nil && l.Name == e.Port.V || e.Port == nil && !l.Protocol.Opaque() {
			out = append(out, l)
		}
	}
	return out
}

// requestOf has no scheme and no port yet.
func requestOf(e *intent.ExpectedRequest) *reach.Request {
	q := &reach.Request{
		Method: scope.Or(e.Method, "GET"), Path: scope.Or(e.Path, "/"), Host: strings.ToLower(scope.Or(e.Host, "")),
		Query: headersOf(e.Query, nil), Headers: headersOf(e.Headers, strings.ToLower), Cookies: headersOf(e.Cookies, nil),
		Address: scope.Or(e.IP, ""), Client: scope.Or(e.ClientIP, ""),
	}
	for _, p := range e.Claims {
		q.Claims = append(q.Claims, model.Header{Name: p.Provider.V})
		for _, c := range p.Of {
			q.Claims = append(q.Claims, model.Header{Name: model.ClaimName(p.Provider.V, c.Key.V), Value: c.Value.V})
		}
	}
	return q
}

func headersOf(list []*intent.KV, normal func(string) string) []model.Header {
	var out []model.Header
	for _, kv := range list {
		name := kv.Key.V
		if normal != nil {
			name = normal(name)
		}
		out = append(out, model.Header{Name: name, Value: kv.Value.V})
	}
	return out
}

// example holds one request of from against what is wanted of it.
func (r *running) example(from model.Ref, q *reach.Request, w *wanted, out *Result) {
	got, ok := r.ask(from, q)
	if !ok {
		panic("expect: intent was not checked: nobody is called " + from.String())
	}
	out.Regions = 1
	out.Request, out.Replay = q.String(), Command(from, q)
	out.shown, out.sender = q, from
	e := endingOf(got)
	out.Unmet = w.unmet(&e)
	out.told(got)
	for _, p := range got.Raw {
		out.Unknown = append(out.Unknown, fmt.Sprintf("patched by raw %q: what that does to requests is not known", p.Name))
	}
	switch {
	case len(out.Unknown) > 0:
		out.Verdict = Unknown
	case len(out.Unmet) > 0:
		out.Verdict = Fails
	}
}

// ask asks what becomes of a request that a service or gateway gets from its
// application or client.
func (r *running) ask(from model.Ref, q *reach.Request) (*answer.Answer, bool) {
	req := &answer.Request{Method: q.Method, Host: q.Host, Port: q.Port, Target: q.Target(), Headers: q.Fields(), Claims: q.Claims}
	if ip, err := netip.ParseAddr(q.Address); err == nil {
		req.Source = ip
	}
	if ip, err := netip.ParseAddr(q.Client); err == nil {
		req.Client = ip
	}
	if g := r.mesh.Gateway(from); g != nil {
		req.TLS = q.Scheme == "https"
		for i := range g.Listeners {
			if l := &g.Listeners[i]; l.Port == q.Port && g.TrustedHops > 0 { // the scheme is what the proxy in front says
				req.TLS = l.Encrypted()
			}
		}
	}
	return answer.Ask(r.mesh, from, req, r.now)
}

// told notes what answer says of a request.
func (out *Result) told(a *answer.Answer) {
	out.Why = a.Why
	for _, rule := range a.Rules {
		if rule.Took {
			out.Rule, out.RuleAt = rule.Name, rule.At
		}
	}
	if z := a.Authorization; z != nil && !z.Allowed && z.At != "" {
		out.RuleAt = z.At
	}
	for _, q := range a.Asked {
		out.Remarks = append(out.Remarks, fmt.Sprintf("%s of %s is asked too, and may refuse it", q.Who, q.By))
	}
}

// words of answer that are one word of expectations: no route is for the host, or
// none for the request.
var words = map[answer.Outcome]string{answer.NoHost: string(answer.NoRoute)}

// statuses that outcomes always have.
var statuses = map[string]uint32{"denied": 403, "unauthenticated": 401, "no-route": 404}

func endingOf(a *answer.Answer) ending {
	e := ending{outcome: string(a.Outcome)}
	if word := words[a.Outcome]; word != "" {
		e.outcome = word
	}
	e.status = statuses[e.outcome]
	t := a.Route
	if t == nil || !a.Outcome.Good() {
		return e
	}
	for _, f := range t.Faults {
		e.faults = append(e.faults, f.What+" for "+f.Percent+" %")
	}
	switch a.Outcome {
	case answer.Redirected:
		status, location, _ := strings.Cut(t.Redirect, " ")
		e.status, e.location = number(status), location
	case answer.Answered:
		status, _, _ := strings.Cut(t.Respond, " ")
		e.status = number(status)
	case answer.Allowed:
		e.sent(a)
	}
	return e
}

func (e *ending) sent(a *answer.Answer) {
	e.service, e.split = *a.Service, map[string]uint32{}
	for _, d := range a.Route.Split {
		share, err := literal.Percent(d.Percent)
		if err != nil {
			panic("expect: answer gives the share " + d.Percent)
		}
		e.split[d.Version] += share
	}
	if limit, err := literal.Duration(a.Route.Timeout); err == nil { // "none" is no limit
		e.timeout = limit
	}
	if retry := a.Route.Retry; retry != nil && retry.Applies && len(retry.On) > 0 {
		e.retries = retry.Attempts
	}
}

func number(text string) uint32 {
	var n uint32
	if _, err := fmt.Sscan(text, &n); err != nil {
		panic("expect: answer gives the status " + text)
	}
	return n
}
