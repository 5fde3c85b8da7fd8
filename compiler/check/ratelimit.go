package check

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// leastFill is the shortest time in which Envoy fills a bucket anew.
const leastFill = 50 * time.Millisecond

// mostLimitKeys bounds what requests are told apart by: each query parameter
// doubles the buckets that a proxy is given.
const mostLimitKeys = 4

func (c *overIntent) rateLimits() {
	asked := false
	for _, s := range c.mesh.Services {
		if len(s.RateLimits) > 0 {
			c.limitedService(s)
		}
		for _, r := range s.RateLimits {
			c.rateLimit(r, fmt.Sprintf("service %q", s.Name.V))
			c.limitOfService(s, r)
			asked = asked || r.Global != nil
		}
	}
	for _, g := range c.mesh.Gateways {
		var routes []string
		for _, r := range g.Routes {
			routes = append(routes, r.Name.V)
		}
		for _, r := range g.RateLimits {
			c.rateLimit(r, fmt.Sprintf("gateway %q", g.Name.V))
			c.limitedRoutes(g, r, routes)
			if !slices.ContainsFunc(g.Listeners, func(l *intent.GatewayListener) bool { return strings.HasPrefix(l.Protocol.V, string(model.HTTP)) }) {
				c.report(diag.RateLimitUnused, r.Name.At, "gateway %q has no http or https listener, so rate limit %q counts nothing", g.Name.V, r.Name.V)
			}
			asked = asked || r.Global != nil
		}
	}
	c.limitServer(asked)
}

// rateLimit judges what limits of services and gateways have in common.
func (c *overIntent) rateLimit(r *intent.RateLimit, owner string) {
	if howMany(r.Local != nil, r.Global != nil) != 1 {
		c.report(diag.NotExactlyOne, r.Name.At, "%s: rate limit %q is exactly one of local and global", owner, r.Name.V)
	}
	if l := r.Local; l != nil {
		if per, ok := c.duration(&l.Per, 0); ok && per < leastFill {
			c.report(diag.BadRateLimit, l.Per.At, "rate limit %q: a bucket is filled in %s at the least, not %s", r.Name.V, leastFill, l.Per.V).
				Help = "write more requests for a longer time, such as \"1s\""
		}
		if l.MaxKeys != nil && len(r.By) == 0 {
			c.report(diag.RateLimitUnused, l.MaxKeys.At, "rate limit %q tells no requests apart, so no keys are remembered", r.Name.V).Help = "write `by`, or leave `maxKeys` out"
		}
	}
	if r.Global != nil {
		c.descriptorEntries(r)
	}
	c.limitKeys(r)
	c.matchList(intent.Value[string]{V: r.Name.V, At: r.Name.At}, "match", r.Match)
	if v := r.Status; v != nil && !knownStatus(v.V) {
		c.report(diag.BadRateLimit, v.At, "rate limit %q: proxies do not answer with status %d", r.Name.V, v.V).Help = "write 429 or 503"
	}
	if e := r.Enforced; e != nil {
		if _, err := literal.Percent(e.V); err != nil {
			c.report(diag.BadPercent, e.At, "rate limit %q: enforced: %q %s", r.Name.V, e.V, err)
		}
	}
}

// knownStatus: Envoy has a list of statuses (envoy.type.v3.StatusCode).
func knownStatus(n int) bool {
	return n >= 400 && n <= 417 || n >= 421 && n <= 424 || n == 426 || n == 428 || n == 429 || n == 431 || n >= 500 && n <= 508 || n == 510 || n == 511
}

func (c *overIntent) descriptorEntries(r *intent.RateLimit) {
	if r.Global.Descriptor != nil && len(r.Global.Descriptor) == 0 {
		c.report(diag.WrongValue, r.Global.At, "rate limit %q: `descriptor` is an empty list", r.Name.V).Help = "leave it out"
	}
	for _, e := range r.Global.Descriptor {
		if e.Key.V == "" || e.Value.V == "" {
			c.report(diag.BadRateLimit, e.At, "rate limit %q: an entry of a descriptor has a key and a value", r.Name.V)
		}
	}
	if c.mesh.Config.RateLimitService == nil {
		c.report(diag.NoRateLimitService, r.Global.At, "rate limit %q is global, and the mesh has no `rateLimitService` that would count", r.Name.V).
			Help = "write mesh: rateLimitService, or make the limit `local`"
	}
}

func (c *overIntent) limitKeys(r *intent.RateLimit) {
	if r.By != nil && len(r.By) == 0 {
		c.report(diag.WrongValue, r.Name.At, "rate limit %q: `by` is an empty list", r.Name.V).Help = "leave it out"
	}
	if len(r.By) > mostLimitKeys {
		c.report(diag.BadRateLimit, r.By[mostLimitKeys].At, "rate limit %q tells requests apart by more than %d things", r.Name.V, mostLimitKeys)
	}
	seen := map[string]bool{}
	for _, k := range r.By {
		if howMany(k.Header != nil, k.Query != nil, k.Caller != nil, k.Path != nil, k.SourceIP != nil) != 1 {
			c.report(diag.NotExactlyOne, k.At, "rate limit %q: an entry of `by` is exactly one thing", r.Name.V)
			continue
		}
		for _, v := range []*intent.Value[bool]{k.Caller, k.Path, k.SourceIP} {
			if v != nil && !v.V {
				c.report(diag.WrongValue, v.At, "rate limit %q: false tells nothing apart", r.Name.V).Help = "leave the entry out"
			}
		}
		key := fmt.Sprint(k.Caller != nil, k.Path != nil, k.SourceIP != nil)
		switch {
		case k.Header != nil:
			name := strings.ToLower(k.Header.V)
			if why := unusableHeader(name); why != "" {
				c.report(diag.BadHeader, k.Header.At, "rate limit %q: header %q tells nothing apart: %s", r.Name.V, k.Header.V, why)
			}
			key = "header " + name
		case k.Query != nil:
			if k.Query.V == "" {
				c.report(diag.WrongValue, k.Query.At, "rate limit %q: a query parameter has a name", r.Name.V)
			}
			key = "query " + k.Query.V
		}
		if seen[key] {
			c.report(diag.BadRateLimit, k.At, "rate limit %q tells requests apart by the same thing twice", r.Name.V).Help = "leave one out"
		}
		seen[key] = true
	}
}

// limitedService reports limits that meet no request.
func (c *overIntent) limitedService(s *intent.Service) {
	if !slices.ContainsFunc(s.Ports, scope.IsHTTP) {
		r := s.RateLimits[0]
		c.report(diag.RateLimitUnused, r.Name.At, "service %q has no http or grpc port, so rate limit %q counts nothing", s.Name.V, r.Name.V)
	}
}

// limitOfService judges what depends on the service's ports.
func (c *overIntent) limitOfService(s *intent.Service, r *intent.RateLimit) {
	http := slices.ContainsFunc(s.Ports, func(p *intent.Port) bool { return p.Protocol.V == string(model.HTTP) })
	if r.Status != nil && !http && slices.ContainsFunc(s.Ports, scope.IsHTTP) {
		c.report(diag.RateLimitUnused, r.Status.At, "rate limit %q: calls of gRPC get RESOURCE_EXHAUSTED, whatever `status` says", r.Name.V).Help = "leave it out"
	}
	for _, k := range r.By {
		if k.Caller == nil {
			continue
		}
		for _, p := range s.Ports {
			if mode := c.scope.ModeOn(s, p.Name.V); scope.IsHTTP(p) && mode != model.MTLSStrict {
				c.report(diag.LimitKeyMissing, k.At, "rate limit %q: port %q takes plaintext (mtls %q), and all such callers share one limit", r.Name.V, p.Name.V, mode).
					Help = "set mtls to \"strict\", or tell callers apart by something else"
				break
			}
		}
	}
}

// limitedRoutes are routes of a gateway by name.
func (c *overIntent) limitedRoutes(g *intent.Gateway, r *intent.RateLimit, routes []string) {
	if r.On != nil && len(r.On) == 0 {
		c.report(diag.WrongValue, r.Name.At, "rate limit %q: `on` is an empty list", r.Name.V).Help = "leave it out for every route"
	}
	for _, name := range r.On {
		if !slices.Contains(routes, name.V) {
			d := c.report(diag.UnknownLimitRoute, name.At, "rate limit %q: gateway %q has no route %q", r.Name.V, g.Name.V, name.V)
			meantText(d, name, routes, r.On)
		}
	}
}

// limitServer judges who counts for global limits.
func (c *overIntent) limitServer(asked bool) {
	r := c.mesh.Config.RateLimitService
	if r == nil {
		return
	}
	if timeout, ok := c.positive(r.Timeout, "an answer takes some time"); ok && timeout < time.Millisecond {
		c.report(diag.BadDuration, r.Timeout.At, "an answer takes some time, and %s is less than a millisecond", timeout)
	}
	if d := r.Domain; d != nil && d.V == "" {
		c.report(diag.WrongValue, d.At, "a domain has a name")
	}
	ref := scope.RateLimitRef(r)
	s := c.scope.Service(ref)
	if s == nil {
		d := c.report(diag.BadRateLimitService, r.Service.At, "rateLimitService: there is no service %q", ref)
		meantText(d, r.Service, c.usable(model.Ref{Namespace: ref.Namespace}), nil)
		return
	}
	switch p := scope.RateLimitPort(s, r); {
	case p == nil && r.Port != nil:
		d := c.report(diag.UnknownPort, r.Port.At, "rateLimitService: service %q has no port %q", s.Name.V, r.Port.V)
		meantText(d, *r.Port, portNames(s), nil)
	case p == nil:
		c.report(diag.BadRateLimitService, r.Service.At, "rateLimitService: service %q has several grpc ports or none", s.Name.V).Help = "name one in `port`"
	case p.Protocol.V != string(model.GRPC):
		c.report(diag.BadRateLimitService, r.Port.At, "rateLimitService: port %q of service %q is %s, and is asked by gRPC", p.Name.V, s.Name.V, p.Protocol.V)
	case len(s.Versions) != 1:
		c.report(diag.BadRateLimitService, r.Service.At, "rateLimitService: service %q has %d versions, and counts are kept in one place", s.Name.V, len(s.Versions))
	case asksForLimits(s.RateLimits):
		c.report(diag.BadRateLimitService, r.Service.At, "rateLimitService: service %q would ask itself whether it may be asked", s.Name.V).Help = "give it `local` limits"
	case !asked:
		c.report(diag.RateLimitUnused, r.At, "no rate limit is `global`, so nobody asks service %q", s.Name.V)
	}
}

func asksForLimits(list []*intent.RateLimit) bool {
	return slices.ContainsFunc(list, func(r *intent.RateLimit) bool { return r.Global != nil })
}

// limitCallers holds those that ask for limits against the allow list of who
// counts: it is called without `uses`.
func (c *overIntent) limitCallers(declared map[[2]model.Ref]bool) {
	r := c.mesh.Config.RateLimitService
	if r == nil {
		return
	}
	to := scope.RateLimitRef(r)
	ask := func(from model.Ref, id string, list []*intent.RateLimit) {
		pair := [2]model.Ref{from, to}
		if i := slices.IndexFunc(list, func(r *intent.RateLimit) bool { return r.Global != nil }); i >= 0 && !declared[pair] {
			declared[pair] = true
			c.refusedCaller(from, id, to, list[i].Global.At)
		}
	}
	for _, s := range c.mesh.Services {
		ask(scope.ServiceRef(s), c.scope.ServiceID(s), s.RateLimits)
	}
	for _, g := range c.mesh.Gateways {
		ask(scope.GatewayRef(g), c.scope.GatewayID(g), g.RateLimits)
	}
}
