package behave

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// shown is what becomes of one request.
type shown struct {
	by            *reach.Request
	before, after Outcome
}

// depends says that two different outcomes may come to the same for a request:
// where the server judges what becomes of it on the way, or where they make a
// path or URL of it in two ways.
func (o *Outcome) depends(other *Outcome) bool {
	return o.open() || o.Verdict == other.Verdict && (o.Redirect != nil || o.Rewrite != nil)
}

// open says that conditions on the request that arrives decide about it.
func (o *Outcome) open() bool {
	return o.Judged != "" || slices.ContainsFunc(o.Asks, someAsked) || slices.ContainsFunc(o.Limits, func(l Limit) bool { return l.When != "" })
}

// show looks for a request of a region whose outcomes differ once it is known
// what becomes of it on the way; nil for none found.
func (c *comparison) show(r reach.Region) (*shown, error) {
	set, err := c.prefer(r.Set, c.usual())
	if err != nil {
		return nil, err
	}
	candidates := []*reach.Request{c.space.Witness(set)}
	for _, caller := range c.callers {
		his, err := c.among(set, reach.Is(identity, reach.Exactly(caller.Identity)))
		if err != nil {
			return nil, err
		}
		if !his.Empty() {
			candidates = append(candidates, c.space.Witness(his))
		}
	}
	for _, q := range candidates {
		asking := *q
		asking.Query = append(slices.Clip(q.Query), model.Header{Name: "q", Value: "1"})
		candidates = append(candidates, &asking)
	}
	if found := c.shows(r, candidates); found != nil {
		return found, nil
	}
	var more []*reach.Request
	for _, q := range candidates {
		for _, from := range []*source{c.taker(c.old, q, c.from[0]), c.taker(c.now, q, c.from[1])} {
			more = append(more, withUnseen(c.unseenOf(from.service), q)...)
		}
	}
	return c.shows(r, more), nil
}

// shows gives the first of some requests that is in a region and that its outcomes
// treat differently; nil for none.
func (c *comparison) shows(r reach.Region, candidates []*reach.Request) *shown {
	for _, q := range candidates {
		if holds, ok := c.space.Holds(r.Set, q); !holds || !ok {
			continue
		}
		out := &shown{
			by:     q,
			before: resolve(*c.outcomes[r.Before], c.taker(c.old, q, c.from[0]), q),
			after:  resolve(*c.outcomes[r.After], c.taker(c.now, q, c.from[1]), q),
		}
		if made(out.before, q) != made(out.after, q) {
			return out
		}
	}
	return nil
}

// resolve is the outcome of one request, about which the server decides by what
// it gets.
func resolve(o Outcome, from *source, q *reach.Request) Outcome {
	if !o.open() {
		return o
	}
	s := from.service
	in := arriving(from, q)
	if o.Judged != "" {
		o.Judged = ""
		id := q.Identity
		if k, ok := from.who.(known); ok {
			id = string(k)
		}
		if said := answer.Authenticate(s.JWT, s.Public, in); said != nil && !said.Passed {
			return Outcome{Verdict: Unknown}
		}
		if !answer.Authorize(domainOf(s.SPIFFEID), s, id, in, from.port).Allowed {
			return Outcome{Verdict: Denied}
		}
	}
	if slices.ContainsFunc(o.Asks, someAsked) {
		o.Asks = nil
		if answer.Asks(s.Authorizer, in) {
			o.Asks = asks(s.Authorizer)
		}
	}
	var limits []Limit
	for _, l := range o.Limits {
		at := in
		if l.Edge {
			at = sent(q)
		}
		if l.When == "" || answer.Counts(l.limit, at) {
			l.When = ""
			limits = append(limits, l)
		}
	}
	o.Limits = sortedLimits(limits)
	return o
}

// sent is the request as a client sends it.
func sent(q *reach.Request) *answer.Request {
	return &answer.Request{Method: q.Method, Host: q.Host, Port: q.Port, Target: q.Target(), Headers: q.Fields(), Claims: q.Claims, TLS: q.Scheme == "https"}
}

// made is the outcome with the URL and path that it makes of a request in the
// place of how it makes them.
func made(o Outcome, q *reach.Request) string {
	asked := sent(q)
	var extra []string
	if o.Redirect != nil {
		extra = append(extra, strconv.Itoa(int(o.Redirect.Status)), answer.Location(o.Redirect, asked))
		o.Redirect = nil
	}
	if w := o.Rewrite; w != nil {
		host, path := asked.Host, asked.Path()
		if w.Host != "" {
			host = w.Host
		}
		if w.Path != nil {
			path = answer.Substitute(w.Path, path)
		}
		extra = append(extra, host, path)
		o.Rewrite = nil
	}
	return strings.Join(append(extra, o.key()), "\x00")
}

// arriving is the request as the server gets it.
func arriving(from *source, q *reach.Request) *answer.Request {
	out := sent(q)
	out.Port, out.TLS = from.port, false
	end := q.Address
	if g := from.gateway; g != nil {
		end = q.Through
		out.Claims = slices.DeleteFunc(slices.Clone(q.Claims), func(c model.Header) bool {
			provider, _ := model.SplitClaim(c.Name)
			t := model.JWTNamed(from.service.JWT, provider)
			return t != nil && model.TakesOut(g.JWT, t)
		})
	}
	if ip, err := netip.ParseAddr(end); err == nil {
		out.Source = ip
	}
	r := from.route
	if w := r.Rewrite; w != nil && w.Host != "" {
		out.Host = w.Host
	}
	if w := r.Rewrite; w != nil && w.Path != nil {
		path, query, asked := strings.Cut(out.Target, "?")
		if out.Target = answer.Substitute(w.Path, path); asked {
			out.Target += "?" + query
		}
	}
	steps := []model.HeaderOps{r.RequestHeaders}
	if len(r.Split) == 1 {
		steps = []model.HeaderOps{r.Split[0].RequestHeaders, r.RequestHeaders}
	}
	out.Headers = headerOps(steps...).apply(out.Headers)
	return out
}
