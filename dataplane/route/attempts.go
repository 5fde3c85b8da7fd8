package route

import (
	"errors"
	"fmt"
	"time"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	previoushostsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"

	"github.com/meshc/meshc/dataplane/message"
)

// Envoy's default of RateLimitedRetryBackOff.max_interval.
const defaultResetMax = 300 * time.Second

// maxHostDraws bounds the work of one retry.
const maxHostDraws = 1000

// attempts reads where and when a retry goes, beside the usual back-off.
func attempts(r *Retry, p *routev3.RetryPolicy) error {
	if r.PerTryIdle = p.GetPerTryIdleTimeout().AsDuration(); r.PerTryIdle < 0 {
		return errors.New("per_try_idle_timeout is negative")
	}
	for i, predicate := range p.GetRetryHostPredicate() {
		if predicate.GetTypedConfig() == nil || !predicate.GetTypedConfig().MessageIs(&previoushostsv3.PreviousHostsPredicate{}) {
			return fmt.Errorf("retry_host_predicate[%d]: only PreviousHostsPredicate is supported", i)
		}
		r.AvoidTried = true
	}
	r.HostDraws = 1
	if n := p.GetHostSelectionRetryMaxAttempts(); n != 0 {
		if n < 0 || n > maxHostDraws {
			return fmt.Errorf("host_selection_retry_max_attempts: %d is outside 0 to %d", n, maxHostDraws)
		}
		r.HostDraws = int(n)
	}
	return resets(r, p.GetRateLimitedRetryBackOff())
}

func resets(r *Retry, b *routev3.RetryPolicy_RateLimitedRetryBackOff) error {
	if b == nil {
		return nil
	}
	r.ResetMax = defaultResetMax
	if d := b.GetMaxInterval(); d != nil {
		r.ResetMax = d.AsDuration()
	}
	for i, h := range b.GetResetHeaders() {
		name := lowerASCII(h.GetName())
		if name == "" || name[0] == ':' {
			return fmt.Errorf("rate_limited_retry_back_off: reset_headers[%d]: %q is not the name of a response header", i, h.GetName())
		}
		r.Resets = append(r.Resets, ResetHeader{Name: name, Unix: h.GetFormat() == routev3.RetryPolicy_UNIX_TIMESTAMP})
	}
	return nil
}

// ResetAfter is the pause that a response asks for; false when it asks for none,
// or for more than the policy grants. The first value of each header counts
// (Envoy's ResetHeaderParserImpl).
func (r *Retry) ResetAfter(fields []message.Field, now time.Time) (time.Duration, bool) {
	for _, h := range r.Resets {
		text, ok := message.Get(fields, h.Name)
		if !ok {
			continue
		}
		seconds, ok := digits(text)
		if ok && h.Unix {
			at := now.Unix()
			seconds, ok = seconds-at, seconds >= at
		}
		if pause := time.Duration(seconds) * time.Second; ok && pause <= r.ResetMax {
			return pause, pause > time.Millisecond
		}
	}
	return 0, false
}

// digits reads a decimal number of seconds without a sign, up to two centuries:
// more is never granted, and time.Duration holds it.
func digits(s string) (n int64, ok bool) {
	const most = int64(1) << 33
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		if n = 10*n + int64(s[i]-'0'); n > most {
			return 0, false
		}
	}
	return n, s != ""
}
