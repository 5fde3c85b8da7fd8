package lower

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// SafeRetryOn are failures after which nothing was processed, so that any
// method may be tried again.
var SafeRetryOn = []string{"connect-failure", "refused-stream", "reset-before-request"}

// IdempotentMethods may be sent twice (RFC 9110 section 9.2.2), sorted.
var IdempotentMethods = []string{"DELETE", "GET", "HEAD", "OPTIONS", "PUT", "TRACE"}

func retry(r *intent.Retries) *model.Retry {
	if r == nil {
		return &model.Retry{Attempts: DefaultAttempts, On: slices.Clone(SafeRetryOn)}
	}
	if r.Attempts.V == 0 {
		return nil
	}
	out := &model.Retry{
		Attempts: uint32(r.Attempts.V),
		PerTry:   durationOr(r.PerTry, 0),
		Methods:  sortedTexts(r.Methods),
		Origin:   r.At,

		PerTryIdle:  durationOr(r.PerTryIdle, 0),
		Backoff:     mapped(r.Backoff, backoff),
		AvoidTried:  scope.Or(r.AvoidTried, false),
		RateLimited: mapped(r.RateLimited, rateLimited),
	}
	if len(out.Methods) == 0 {
		out.Methods = slices.Clone(IdempotentMethods)
	}
	retryOn(out, r.On)
	return out
}

// backoffGrowth is how often the base fits into the longest pause, unless that
// is written; Envoy's rule.
const backoffGrowth = 10

func backoff(b *intent.Backoff) *model.Backoff {
	base := duration(b.Base)
	return &model.Backoff{Base: base, Max: durationOr(b.Max, backoffGrowth*base)}
}

func rateLimited(r *intent.RateLimitedBackoff) *model.RateLimited {
	return &model.RateLimited{
		Header:   strings.ToLower(r.Header.V),
		UnixTime: scope.Or(r.Format, "") == "unixTime",
		Max:      durationOr(r.Max, DefaultRateLimitedMax),
	}
}

// retryOn fills the conditions; where none is written they are the safe ones.
func retryOn(out *model.Retry, on []intent.Value[string]) {
	for _, w := range on {
		word, status, err := literal.RetryOn(w.V)
		checked(word, err)
		if word != "" {
			out.On = append(out.On, word)
		} else {
			out.Statuses = append(out.Statuses, status)
		}
	}
	if len(on) == 0 {
		out.On = slices.Clone(SafeRetryOn)
	}
	slices.Sort(out.On)
	out.On = slices.Compact(out.On)
	slices.Sort(out.Statuses)
	out.Statuses = slices.Compact(out.Statuses)
}
