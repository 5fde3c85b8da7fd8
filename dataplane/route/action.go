package route

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
)

// Envoy's defaults (route_components.proto, RouteAction.timeout and
// RouteConfiguration.max_direct_response_body_size_bytes).
const (
	defaultTimeout = 15 * time.Second
	maxDirectBody  = 4096
)

func routeAction(e *Entry, action *routev3.RouteAction) error {
	if err := destinations(e, action); err != nil {
		return err
	}
	e.Timeout = defaultTimeout
	if d := action.GetTimeout(); d != nil {
		if e.Timeout = d.AsDuration(); e.Timeout < 0 {
			return errors.New("timeout is negative")
		}
	}
	if d := action.GetIdleTimeout(); d != nil {
		if e.Idle = d.AsDuration(); e.Idle <= 0 {
			return errors.New("idle_timeout: only values above 0 are supported")
		}
	}
	var err error
	if e.MaxDuration, err = maxStreamDuration(action.GetMaxStreamDuration()); err != nil {
		return fmt.Errorf("max_stream_duration: %w", err)
	}
	if e.Hash, err = hashPolicy(action.GetHashPolicy()); err != nil {
		return err
	}
	if e.Upgrades, err = upgrades(action.GetUpgradeConfigs()); err != nil {
		return err
	}
	if err := rewrite(e, action); err != nil {
		return err
	}
	if err := mirrors(e, action.GetRequestMirrorPolicies()); err != nil {
		return err
	}
	retry, err := retryPolicy(action.GetRetryPolicy())
	if err != nil {
		return fmt.Errorf("retry_policy: %w", err)
	}
	e.Retry = retry
	return nil
}

func maxStreamDuration(d *routev3.RouteAction_MaxStreamDuration) (*Duration, error) {
	if d == nil {
		return nil, nil
	}
	out := &Duration{
		Max:        d.GetMaxStreamDuration().AsDuration(),
		HeedGRPC:   d.GetGrpcTimeoutHeaderMax() != nil,
		GRPCMax:    d.GetGrpcTimeoutHeaderMax().AsDuration(),
		GRPCOffset: d.GetGrpcTimeoutHeaderOffset().AsDuration(),
	}
	if out.Max < 0 || out.GRPCMax < 0 || out.GRPCOffset < 0 {
		return nil, errors.New("a duration is negative")
	}
	return out, nil
}

func destinations(e *Entry, action *routev3.RouteAction) error {
	switch to := action.GetClusterSpecifier().(type) {
	case *routev3.RouteAction_Cluster:
		e.Clusters = []WeightedCluster{{Name: to.Cluster, Weight: 1}}
		e.Total = 1
		return nil
	case *routev3.RouteAction_WeightedClusters:
		return weightedClusters(e, to.WeightedClusters)
	}
	return errors.New("needs cluster or weighted_clusters")
}

func weightedClusters(e *Entry, split *routev3.WeightedCluster) error {
	for _, w := range split.GetClusters() {
		if w.GetName() == "" {
			return errors.New("weighted_clusters: a cluster needs a name")
		}
		if w.GetWeight() == nil {
			return fmt.Errorf("weighted_clusters: cluster %q has no weight", w.GetName())
		}
		request, err := mutations(w.GetRequestHeadersToAdd(), w.GetRequestHeadersToRemove())
		if err != nil {
			return fmt.Errorf("weighted cluster %q: request headers: %w", w.GetName(), err)
		}
		response, err := mutations(w.GetResponseHeadersToAdd(), w.GetResponseHeadersToRemove())
		if err != nil {
			return fmt.Errorf("weighted cluster %q: response headers: %w", w.GetName(), err)
		}
		weight := uint64(w.GetWeight().GetValue())
		e.Total += weight
		e.Clusters = append(e.Clusters, WeightedCluster{Name: w.GetName(), Weight: weight, Request: request, Response: response})
	}
	e.Keyed = split.GetUseHashPolicy().GetValue()
	if e.Total == 0 || e.Total > math.MaxUint32 {
		return fmt.Errorf("weighted_clusters: sum of weights %d is outside 1 to %d", e.Total, uint32(math.MaxUint32))
	}
	return nil
}

func directResponse(e *Entry, d *routev3.DirectResponseAction) error {
	e.Direct.Status = int(d.GetStatus())
	switch body := d.GetBody().GetSpecifier().(type) {
	case nil:
	case *corev3.DataSource_InlineString:
		e.Direct.Body = body.InlineString
	case *corev3.DataSource_InlineBytes:
		e.Direct.Body = string(body.InlineBytes)
	default:
		return errors.New("direct_response: body must be inline")
	}
	if len(e.Direct.Body) > maxDirectBody {
		return fmt.Errorf("direct_response: body has %d bytes, more than %d", len(e.Direct.Body), maxDirectBody)
	}
	return nil
}

// retryConditions are Envoy's words for x-envoy-retry-on.
var retryConditions = map[string]RetryOn{
	"connect-failure":        RetryConnectFailure,
	"refused-stream":         RetryRefusedStream,
	"reset":                  RetryReset,
	"reset-before-request":   RetryResetBeforeRequest,
	"gateway-error":          RetryGatewayError,
	"5xx":                    Retry5xx,
	"retriable-4xx":          RetryRetriable4xx,
	"retriable-status-codes": RetryRetriableStatusCodes,
	"cancelled":              RetryGRPCCancelled,
	"deadline-exceeded":      RetryGRPCDeadlineExceeded,
	"internal":               RetryGRPCInternal,
	"resource-exhausted":     RetryGRPCResourceExhausted,
	"unavailable":            RetryGRPCUnavailable,
}

func retryPolicy(p *routev3.RetryPolicy) (*Retry, error) {
	if p == nil {
		return nil, nil
	}
	r := &Retry{Attempts: 1, PerTry: p.GetPerTryTimeout().AsDuration(), BackoffBase: 25 * time.Millisecond}
	if n := p.GetNumRetries(); n != nil {
		r.Attempts = int(n.GetValue())
	}
	for word := range strings.SplitSeq(p.GetRetryOn(), ",") {
		if word = strings.TrimSpace(word); word == "" {
			continue
		}
		on, ok := retryConditions[word]
		if !ok {
			return nil, fmt.Errorf("retry_on: condition %q is not supported", word)
		}
		r.On |= on
	}
	for _, status := range p.GetRetriableStatusCodes() {
		r.Statuses = append(r.Statuses, int(status))
	}
	if r.PerTry < 0 {
		return nil, errors.New("per_try_timeout is negative")
	}
	if err := backOff(r, p.GetRetryBackOff()); err != nil {
		return nil, err
	}
	if err := attempts(r, p); err != nil {
		return nil, err
	}
	return r, retriableMethods(r, p.GetRetriableRequestHeaders())
}

func backOff(r *Retry, b *routev3.RetryPolicy_RetryBackOff) error {
	if b != nil {
		// Envoy counts in whole milliseconds and rounds what is less up to one.
		r.BackoffBase = max(b.GetBaseInterval().AsDuration(), time.Millisecond)
	}
	r.BackoffMax = 10 * r.BackoffBase
	if d := b.GetMaxInterval(); d != nil {
		if r.BackoffMax = max(d.AsDuration(), time.Millisecond); r.BackoffMax < r.BackoffBase {
			return errors.New("retry_back_off: max_interval is below base_interval")
		}
	}
	return nil
}

// retriableMethods: a request may be retried when any of the matchers accepts it.
func retriableMethods(r *Retry, headers []*routev3.HeaderMatcher) error {
	if len(headers) == 0 {
		return nil
	}
	var any []func(string) bool
	for _, h := range headers {
		if h.GetName() != ":method" {
			return fmt.Errorf("retriable_request_headers: header %q is not supported (only :method)", h.GetName())
		}
		judge, err := compileValue(h)
		if err != nil {
			return fmt.Errorf("retriable_request_headers: %w", err)
		}
		any = append(any, func(method string) bool { return judge(method) != h.GetInvertMatch() })
	}
	r.RequestMatches = func(method string) bool {
		for _, matches := range any {
			if matches(method) {
				return true
			}
		}
		return false
	}
	return nil
}
