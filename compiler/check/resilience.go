package check

import (
	"slices"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/lower"
)

// maxAttempts bounds retries: more would only multiply an outage.
const maxAttempts = 100

func (c *overIntent) resilience() {
	for _, s := range c.in.services {
		for _, r := range s.Routes {
			timeout, ok := c.duration(r.Timeout, lower.DefaultTimeout)
			whole := c.clocks(r, timeout, ok)
			if r.Retries != nil {
				c.retries(r, whole, ok)
				c.retryOnKind(s, r)
			}
		}
	}
	for _, e := range c.in.externals {
		c.duration(e.Timeout, lower.DefaultTimeout)
	}
	for _, g := range c.in.gateways {
		if t := g.Timeouts; t != nil {
			c.duration(t.RequestHeaders, 0)
			c.duration(t.Idle, 0)
			c.positive(t.MaxConnection, "no connection would be served")
			c.idleNever(t.Idle, t.MaxConnection, "gateway \""+g.Name.V+"\"")
		}
	}
}

// duration reads a written duration, or gives def; ok is false after a report.
func (c *overIntent) duration(v *intent.Value[string], def time.Duration) (d time.Duration, ok bool) {
	if v == nil {
		return def, true
	}
	d, err := literal.Duration(v.V)
	if err != nil {
		meantDuration(c.report(diag.BadDuration, v.At, "%s", err), *v)
		return 0, false
	}
	return d, true
}

// wholeTime is how long a request may take in all, 0 for ever, and what says so.
type wholeTime struct {
	limit time.Duration
	whose string
}

func (c *overIntent) retries(r *intent.Route, whole wholeTime, timeoutOK bool) {
	re := r.Retries
	n := re.Attempts.V
	if n < 0 || n > maxAttempts {
		c.report(diag.WrongValue, re.Attempts.At, "route %q: %d attempts, not 0 to %d", r.Name.V, n, maxAttempts)
		return
	}
	c.retryOn(re)
	c.methods(re.Methods)
	if n == 0 {
		if len(re.On) > 0 || re.PerTry != nil || len(re.Methods) > 0 ||
			re.PerTryIdle != nil || re.Backoff != nil || re.AvoidTried != nil || re.RateLimited != nil {
			d := c.report(diag.RetriesUnused, re.Attempts.At, "route %q: with 0 attempts the other fields of `retries` do nothing", r.Name.V)
			withoutRest(d, re)
		}
		return
	}
	c.idempotence(r)
	c.pauses(r)
	c.perTryIdle(r, whole.limit)
	if re.PerTry == nil {
		return
	}
	perTry, ok := c.duration(re.PerTry, 0)
	if ok && perTry == 0 {
		c.report(diag.BadDuration, re.PerTry.At, "route %q: a try cannot take %s", r.Name.V, re.PerTry.V).Help = "leave `perTry` out for no limit of its own"
		return
	}
	if ok && timeoutOK && whole.limit > 0 {
		c.retryArithmetic(r, perTry, whole)
	}
}

// retryArithmetic compares all tries together, the first one included, with
// the time that the whole request has.
func (c *overIntent) retryArithmetic(r *intent.Route, perTry time.Duration, whole wholeTime) {
	at, timeout, whose := r.Retries.PerTry.At, whole.limit, whole.whose
	tries := time.Duration(r.Retries.Attempts.V) + 1
	switch {
	case perTry > timeout:
		c.report(diag.PerTryOverTimeout, at, "route %q: one try may take %s, %s is %s", r.Name.V, perTry, whose, timeout).
			Help = "raise `timeout` or lower `perTry`"
	case tries*perTry > timeout:
		c.report(diag.RetriesOverTimeout, at, "route %q: %d tries of %s take %s, %s is %s", r.Name.V, tries, perTry, tries*perTry, whose, timeout).
			Help = "attempts counts the retries after the first try"
	}
}

func (c *overIntent) retryOn(re *intent.Retries) {
	for _, w := range re.On {
		if _, _, err := literal.RetryOn(w.V); err != nil {
			d := c.report(diag.UnknownRetryOn, w.At, "%s", err)
			meantWord(d, w, literal.RetryWords(), re.On)
		}
	}
}

// idempotence warns where a request that may have been carried out is sent
// again with a method that may act twice.
func (c *overIntent) idempotence(r *intent.Route) {
	unsafe := slices.IndexFunc(r.Retries.On, func(w intent.Value[string]) bool {
		return !slices.Contains(lower.SafeRetryOn, w.V) && !literal.IsGRPCRetry(w.V) // each RPC is a POST, which was written
	})
	if unsafe < 0 {
		return
	}
	for _, m := range r.Retries.Methods {
		if !slices.Contains(lower.IdempotentMethods, m.V) && methodName.MatchString(m.V) {
			c.report(diag.RetryNotIdempotent, m.At, "route %q: %s may be carried out twice when %q is retried", r.Name.V, m.V, r.Retries.On[unsafe].V)
		}
	}
}
