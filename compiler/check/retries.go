package check

import (
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// clocks judges the limits of a route's exchange beside its timeout, and gives
// the one of the two for the whole that ends first.
func (c *overIntent) clocks(r *intent.Route, timeout time.Duration, timeoutOK bool) wholeTime {
	idle, idleOK := c.positive(r.IdleTimeout, "route "+r.Name.V+": an exchange is silent for some time")
	longest, ok := c.positive(r.MaxDuration, "route "+r.Name.V+": an exchange takes some time")
	if ok && timeoutOK && r.Timeout != nil && timeout >= longest {
		d := c.report(diag.TimeoutNever, r.Timeout.At, "route %q: the timeout of %s counts from the end of the request, and the whole exchange ends after %s", r.Name.V, timeout, longest)
		d.Help = "raise `maxDuration`, or leave `timeout` out"
		d.Related = []diag.Related{{Range: r.MaxDuration.At, Message: "the whole exchange"}}
	}
	if ok && idleOK && idle >= longest {
		d := c.report(diag.TimeoutNever, r.IdleTimeout.At, "route %q: an exchange may be silent for %s, and ends after %s whatever it does", r.Name.V, idle, longest)
		d.Help = "raise `maxDuration`, or leave `idleTimeout` out"
		d.Related = []diag.Related{{Range: r.MaxDuration.At, Message: "the whole exchange"}}
	}
	switch {
	case ok && timeoutOK && (timeout == 0 || longest < timeout):
		return wholeTime{longest, "its maxDuration"}
	case r.Timeout == nil:
		return wholeTime{timeout, "the default timeout"}
	}
	return wholeTime{timeout, "the route's timeout"}
}

// idleNever warns of a silence that the end of every connection comes before.
func (c *overIntent) idleNever(idle, most *intent.Value[string], owner string) {
	if idle == nil || most == nil {
		return
	}
	silent, err := literal.Duration(idle.V)
	whole, errWhole := literal.Duration(most.V)
	if err != nil || errWhole != nil || whole == 0 || silent < whole {
		return // what cannot be read is reported where it is read
	}
	d := c.report(diag.TimeoutNever, idle.At, "%s: a connection may be silent for %s, and ends after %s whatever it does", owner, silent, whole)
	d.Related = []diag.Related{{Range: most.At, Message: "the end of every connection"}}
}

// perTryIdle warns of a silence that a shorter limit always ends.
func (c *overIntent) perTryIdle(r *intent.Route, timeout time.Duration) {
	idle, ok := c.positive(r.Retries.PerTryIdle, "route "+r.Name.V+": a try is silent for some time")
	if !ok {
		return
	}
	limit, what := timeout, "the whole request"
	if p := r.Retries.PerTry; p != nil {
		if d, err := literal.Duration(p.V); err == nil && d > 0 {
			limit, what = d, "one try"
		}
	}
	if limit > 0 && idle >= limit {
		c.report(diag.TimeoutNever, r.Retries.PerTryIdle.At, "route %q: a try may be silent for %s, and %s ends after %s", r.Name.V, idle, what, limit)
	}
}

// pauses judges the time before each retry.
func (c *overIntent) pauses(r *intent.Route) {
	if b := r.Retries.Backoff; b != nil {
		base, ok := c.positive(&b.Base, "route "+r.Name.V+": the pause before a retry takes some time")
		longest, okMax := c.positive(b.Max, "route "+r.Name.V+": the pause before a retry takes some time")
		if ok && okMax && base > longest {
			c.report(diag.BackoffRange, b.Max.At, "route %q: the first pause is up to %s, and the longest up to %s", r.Name.V, base, longest)
		}
	}
	l := r.Retries.RateLimited
	if l == nil {
		return
	}
	c.positive(l.Max, "route "+r.Name.V+": a pause takes some time")
	if !headerToken.MatchString(strings.ToLower(l.Header.V)) {
		c.report(diag.BadHeader, l.Header.At, "route %q: %q is not the name of a response header", r.Name.V, l.Header.V)
	}
	if !slices.ContainsFunc(r.Retries.On, answered) {
		c.report(diag.RateLimitedUnused, l.At, "route %q: nothing that is tried again comes with an answer whose header could ask for a pause", r.Name.V).
			Help = "add a status such as \"429\" to `on`, or leave `rateLimited` out"
	}
}

// answered says that a failure comes with response headers.
func answered(on intent.Value[string]) bool {
	word, status, err := literal.RetryOn(on.V)
	return err == nil && (status != 0 || literal.IsGRPCRetry(word) || slices.Contains([]string{"5xx", "gateway-error", "retriable-4xx"}, word))
}

// retryOnKind keeps the conditions of gRPC on grpc ports: elsewhere no answer
// has a gRPC status.
func (c *overIntent) retryOnKind(s *intent.Service, r *intent.Route) {
	i := slices.IndexFunc(r.Retries.On, func(w intent.Value[string]) bool { return literal.IsGRPCRetry(w.V) })
	if i < 0 {
		return
	}
	ports := s.Ports
	if r.Port != nil {
		ports = nil
		if p := scope.Port(s.Ports, r.Port.V); p != nil {
			ports = []*intent.Port{p}
		}
	}
	for _, p := range ports {
		if p.Protocol.V == string(model.HTTP) {
			w := r.Retries.On[i]
			d := c.report(diag.GRPCCondition, w.At, "route %q: %q is a gRPC status, and port %q speaks http", r.Name.V, w.V, p.Name.V)
			d.Related = []diag.Related{{Range: p.At, Message: "the port"}}
			return
		}
	}
}
