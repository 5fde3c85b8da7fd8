package xds

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/matcher/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/meshc/meshc/compiler/model"
)

// enforced is the share of detections that lead to an ejection.
func enforced(on bool) uint32 {
	if on {
		return 100
	}
	return 0
}

// outlierDetection says of each detector whether it is on: left out, Envoy
// would enforce two of them.
func outlierDetection(o *model.Outliers) *clusterv3.OutlierDetection {
	if o == nil {
		return nil
	}
	out := &clusterv3.OutlierDetection{
		Interval:           duration(o.Interval),
		BaseEjectionTime:   duration(o.Ejection),
		MaxEjectionTime:    duration(o.MaxEjection),
		MaxEjectionPercent: uint32Value(o.MaxPercent),
		AlwaysEjectOneHost: boolValue(o.AtLeastOne),

		EnforcingConsecutive_5Xx:           uint32Value(enforced(o.Consecutive5xx > 0)),
		EnforcingConsecutiveGatewayFailure: uint32Value(enforced(o.ConsecutiveGateway > 0)),
		EnforcingSuccessRate:               uint32Value(enforced(o.SuccessRate != nil)),
		EnforcingFailurePercentage:         uint32Value(enforced(o.FailurePercent != nil)),
	}
	if o.Consecutive5xx > 0 {
		out.Consecutive_5Xx = uint32Value(o.Consecutive5xx)
	}
	if o.ConsecutiveGateway > 0 {
		out.ConsecutiveGatewayFailure = uint32Value(o.ConsecutiveGateway)
	}
	if o.ConsecutiveLocal > 0 {
		// Apart from the answers of servers, so that each count is of one kind.
		out.SplitExternalLocalOriginErrors = true
		out.ConsecutiveLocalOriginFailure = uint32Value(o.ConsecutiveLocal)
		out.EnforcingConsecutiveLocalOriginFailure = uint32Value(enforced(true))
		out.EnforcingLocalOriginSuccessRate = uint32Value(enforced(false))
	}
	setRates(out, o)
	return out
}

func setRates(out *clusterv3.OutlierDetection, o *model.Outliers) {
	if s := o.SuccessRate; s != nil {
		out.SuccessRateMinimumHosts = uint32Value(s.MinHosts)
		out.SuccessRateRequestVolume = uint32Value(s.MinRequests)
		out.SuccessRateStdevFactor = uint32Value(s.StdevHundredths * 10) // Envoy counts in thousandths
	}
	if f := o.FailurePercent; f != nil {
		out.FailurePercentageThreshold = uint32Value(f.Threshold)
		out.FailurePercentageMinimumHosts = uint32Value(f.MinHosts)
		out.FailurePercentageRequestVolume = uint32Value(f.MinRequests)
	}
}

// failures says which statuses count against an endpoint, nil where those from
// 500 on do. Envoy gives what matches to its detectors as it is when it is 500 or
// above, else as 500, and whatever does not match as 200.
func failures(t *model.Traffic) *httpv3.HttpProtocolOptions_OutlierDetection {
	if t == nil || t.Outliers == nil || len(t.Outliers.Statuses) == 0 {
		return nil
	}
	var any []*matcherv3.MatchPredicate
	for _, r := range t.Outliers.Statuses {
		any = append(any, statusMatch(r))
	}
	if len(any) == 1 {
		return &httpv3.HttpProtocolOptions_OutlierDetection{ErrorMatcher: any[0]}
	}
	return &httpv3.HttpProtocolOptions_OutlierDetection{ErrorMatcher: &matcherv3.MatchPredicate{
		Rule: &matcherv3.MatchPredicate_OrMatch{OrMatch: &matcherv3.MatchPredicate_MatchSet{Rules: any}},
	}}
}

func statusMatch(r model.StatusRange) *matcherv3.MatchPredicate {
	return &matcherv3.MatchPredicate{Rule: &matcherv3.MatchPredicate_HttpResponseHeadersMatch{
		HttpResponseHeadersMatch: &matcherv3.HttpHeadersMatch{Headers: []*routev3.HeaderMatcher{{
			Name: ":status",
			HeaderMatchSpecifier: &routev3.HeaderMatcher_RangeMatch{
				RangeMatch: &typev3.Int64Range{Start: int64(r.From), End: int64(r.To) + 1},
			},
		}}},
	}}
}
