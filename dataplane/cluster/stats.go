package cluster

import "github.com/meshc/meshc/dataplane/telemetry"

// stats are Envoy's cluster.<name>.outlier_detection.* statistics.
type stats struct {
	active, enforced, overflow telemetry.Metric
	consecutive                [kinds]detection
	successRate                [2]detection // by origin
	failurePercent             [2]detection
}

// detection is one kind of judgement.
type detection struct{ detected, enforced telemetry.Metric }

func newStats(reg *telemetry.Registry, cluster string) *stats {
	label := telemetry.Label{Name: "envoy_cluster_name", Value: cluster}
	const prefix = "envoy_cluster_outlier_detection_ejections_"
	of := func(name string) detection {
		return detection{reg.Counter(prefix+"detected_"+name, label), reg.Counter(prefix+"enforced_"+name, label)}
	}
	return &stats{
		active:   reg.Gauge(prefix+"active", label),
		enforced: reg.Counter(prefix+"enforced_total", label),
		overflow: reg.Counter(prefix+"overflow", label),
		consecutive: [kinds]detection{
			consecutive5xx: of("consecutive_5xx"), consecutiveGateway: of("consecutive_gateway_failure"), consecutiveLocal: of("consecutive_local_origin_failure"),
		},
		successRate:    [2]detection{external: of("success_rate"), local: of("local_origin_success_rate")},
		failurePercent: [2]detection{external: of("failure_percentage"), local: of("local_origin_failure_percentage")},
	}
}
