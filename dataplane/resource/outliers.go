package resource

import (
	"errors"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// outliers fills in Envoy's defaults (outlier_detection.proto).
func outliers(o *clusterv3.OutlierDetection) (*snapshot.Outliers, error) {
	if o == nil {
		return nil, nil
	}
	out := &snapshot.Outliers{
		Interval:           spanOr(o.GetInterval(), 10*time.Second),
		Ejection:           spanOr(o.GetBaseEjectionTime(), 30*time.Second),
		Jitter:             o.GetMaxEjectionTimeJitter().AsDuration(),
		MaxPercent:         numberOr(o.GetMaxEjectionPercent(), 10),
		AlwaysOne:          o.GetAlwaysEjectOneHost().GetValue(),
		SplitLocal:         o.GetSplitExternalLocalOriginErrors(),
		Consecutive5xx:     snapshot.Detector{Threshold: numberOr(o.GetConsecutive_5Xx(), 5), Enforced: numberOr(o.GetEnforcingConsecutive_5Xx(), 100)},
		ConsecutiveGateway: snapshot.Detector{Threshold: numberOr(o.GetConsecutiveGatewayFailure(), 5), Enforced: numberOr(o.GetEnforcingConsecutiveGatewayFailure(), 0)},
		ConsecutiveLocal:   snapshot.Detector{Threshold: numberOr(o.GetConsecutiveLocalOriginFailure(), 5), Enforced: numberOr(o.GetEnforcingConsecutiveLocalOriginFailure(), 100)},
		SuccessRate: snapshot.Rate{
			MinHosts: numberOr(o.GetSuccessRateMinimumHosts(), 5), MinRequests: numberOr(o.GetSuccessRateRequestVolume(), 100),
			Factor: numberOr(o.GetSuccessRateStdevFactor(), 1900), Enforced: numberOr(o.GetEnforcingSuccessRate(), 100),
			EnforcedLocal: numberOr(o.GetEnforcingLocalOriginSuccessRate(), 100),
		},
		FailurePercent: snapshot.Rate{
			MinHosts: numberOr(o.GetFailurePercentageMinimumHosts(), 5), MinRequests: numberOr(o.GetFailurePercentageRequestVolume(), 50),
			Factor: numberOr(o.GetFailurePercentageThreshold(), 85), Enforced: numberOr(o.GetEnforcingFailurePercentage(), 0),
			EnforcedLocal: numberOr(o.GetEnforcingFailurePercentageLocalOrigin(), 0),
		},
		UnejectWhenHealthChecked: o.GetSuccessfulActiveHealthCheckUnejectHost() == nil || o.GetSuccessfulActiveHealthCheckUnejectHost().GetValue(),
	}
	out.MaxEjection = spanOr(o.GetMaxEjectionTime(), max(300*time.Second, out.Ejection))
	switch {
	case out.Interval < time.Millisecond:
		return nil, errors.New("interval: less than 1 ms is not supported")
	case out.MaxEjection < out.Ejection:
		return nil, errors.New("max_ejection_time is below base_ejection_time")
	case out.Jitter < 0:
		return nil, errors.New("max_ejection_time_jitter is negative")
	}
	return out, nil
}

func spanOr(d *durationpb.Duration, fallback time.Duration) time.Duration {
	if d == nil {
		return fallback
	}
	return d.AsDuration()
}

func numberOr(n *wrapperspb.UInt32Value, fallback uint32) uint32 {
	if n == nil {
		return fallback
	}
	return n.GetValue()
}
