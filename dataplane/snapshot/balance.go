package snapshot

import "time"

// Balance are the settings of the policies; 0 is Envoy's default of each.
type Balance struct {
	Choices          uint32 // of LeastRequest: 2
	RingMin, RingMax uint64 // of RingHash: 1024 and 8 Mi
	TableSize        uint64 // of Maglev, a prime: 65537
	// SlowStart is of RoundRobin and LeastRequest; nil: none.
	SlowStart *SlowStart
	// Panic is the percentage of well endpoints below which health is ignored:
	// 50; below 0 = never.
	Panic int
	// LocalityWeighted: requests are spread over localities by their weights, and
	// then over the endpoints of each.
	LocalityWeighted bool
}

// SlowStart gives an endpoint that has come to be well its full weight little by
// little: max(MinPercent, (time / Window)^(1 / Aggression)).
type SlowStart struct {
	Window     time.Duration
	Aggression float64 // above 0
	MinPercent float64
}

// Outliers says when endpoints that fail are left out, as Envoy's
// OutlierDetection with its defaults filled in.
type Outliers struct {
	Interval                 time.Duration // between two looks at rates, and at who may come back
	Ejection, MaxEjection    time.Duration // the first time, a multiple of it the next times, and at most
	Jitter                   time.Duration // added at random, up to this
	MaxPercent               uint32        // of the endpoints, at once
	AlwaysOne                bool          // one endpoint even if that is more than MaxPercent
	SplitLocal               bool          // failures to connect count apart from answers
	Consecutive5xx           Detector
	ConsecutiveGateway       Detector
	ConsecutiveLocal         Detector
	SuccessRate              Rate          // Factor: thousandths of a standard deviation
	FailurePercent           Rate          // Factor: percent
	UnejectWhenHealthChecked bool          // an active health check that passes brings an endpoint back
	Failures                 []StatusRange // of answers; nil: 500 and above
}

// Detector counts failures in a row.
type Detector struct {
	Threshold uint32
	Enforced  uint32 // percent of detections that lead to an ejection
}

// Rate judges the answers of an interval.
type Rate struct {
	MinHosts, MinRequests, Factor uint32
	Enforced, EnforcedLocal       uint32 // percent, of answers and of failures to connect
}
