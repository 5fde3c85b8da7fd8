package xds

import (
	"slices"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	previoushostsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"

	"github.com/meshc/meshc/compiler/model"
)

const retriableStatusCodes = "retriable-status-codes"

// retryPolicy is nil when nothing is to be retried.
func retryPolicy(r *model.Retry) (*routev3.RetryPolicy, error) {
	if r == nil || r.Attempts == 0 {
		return nil, nil
	}
	out := &routev3.RetryPolicy{
		RetryOn:              retryOn(r),
		NumRetries:           uint32Value(r.Attempts),
		RetriableStatusCodes: r.Statuses,
	}
	if r.PerTry > 0 {
		out.PerTryTimeout = duration(r.PerTry)
	}
	if r.PerTryIdle > 0 {
		out.PerTryIdleTimeout = duration(r.PerTryIdle)
	}
	setPauses(out, r)
	if r.AvoidTried {
		predicate, err := previousHosts()
		if err != nil {
			return nil, err
		}
		out.RetryHostPredicate = []*routev3.RetryPolicy_RetryHostPredicate{predicate}
		out.HostSelectionRetryMaxAttempts = hostDraws
	}
	for _, m := range r.Methods {
		out.RetriableRequestHeaders = append(out.RetriableRequestHeaders, header(":method", exactly(m)))
	}
	return out, nil
}

// hostDraws is how often another endpoint is drawn before one that was tried
// is taken after all.
const hostDraws = 5

// previousHosts turns endpoints away that were tried.
func previousHosts() (*routev3.RetryPolicy_RetryHostPredicate, error) {
	packed, err := toEmptyAny(&previoushostsv3.PreviousHostsPredicate{})
	if err != nil {
		return nil, err
	}
	return &routev3.RetryPolicy_RetryHostPredicate{
		Name:       "envoy.retry_host_predicates.previous_hosts",
		ConfigType: &routev3.RetryPolicy_RetryHostPredicate_TypedConfig{TypedConfig: packed},
	}, nil
}

// setPauses says how long to wait before a retry.
func setPauses(out *routev3.RetryPolicy, r *model.Retry) {
	out.RetryBackOff = backOff(r.Backoff)
	if l := r.RateLimited; l != nil {
		format := routev3.RetryPolicy_SECONDS
		if l.UnixTime {
			format = routev3.RetryPolicy_UNIX_TIMESTAMP
		}
		out.RateLimitedRetryBackOff = &routev3.RetryPolicy_RateLimitedRetryBackOff{
			ResetHeaders: []*routev3.RetryPolicy_ResetHeader{{Name: l.Header, Format: format}},
			MaxInterval:  duration(l.Max),
		}
	}
}

func backOff(b *model.Backoff) *routev3.RetryPolicy_RetryBackOff {
	if b == nil {
		return nil
	}
	return &routev3.RetryPolicy_RetryBackOff{BaseInterval: duration(b.Base), MaxInterval: duration(b.Max)}
}

func retryOn(r *model.Retry) string {
	on := slices.Clone(r.On)
	if len(r.Statuses) > 0 && !slices.Contains(on, retriableStatusCodes) {
		on = append(on, retriableStatusCodes)
	}
	slices.Sort(on)
	return strings.Join(on, ",")
}
