package xds

import (
	"slices"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshc/meshc/compiler/model"
)

const retriableStatusCodes = "retriable-status-codes"

// retryPolicy is nil when nothing is to be retried.
func retryPolicy(r *model.Retry) *routev3.RetryPolicy {
	if r == nil || r.Attempts == 0 {
		return nil
	}
	out := &routev3.RetryPolicy{
		RetryOn:              retryOn(r),
		NumRetries:           uint32Value(r.Attempts),
		RetriableStatusCodes: r.Statuses,
	}
	if r.PerTry > 0 {
		out.PerTryTimeout = duration(r.PerTry)
	}
	for _, m := range r.Methods {
		out.RetriableRequestHeaders = append(out.RetriableRequestHeaders, header(":method", exactly(m)))
	}
	return out
}

func retryOn(r *model.Retry) string {
	on := slices.Clone(r.On)
	if len(r.Statuses) > 0 && !slices.Contains(on, retriableStatusCodes) {
		on = append(on, retriableStatusCodes)
	}
	slices.Sort(on)
	return strings.Join(on, ",")
}
