package xds

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

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
