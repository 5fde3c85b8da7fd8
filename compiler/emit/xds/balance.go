package xds

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/model"
)

// setBalance chooses how a cluster spreads requests; nil leaves round robin.
func setBalance(c *clusterv3.Cluster, b *model.Balance) {
	if b == nil {
		return
	}
	c.CommonLbConfig = &clusterv3.Cluster_CommonLbConfig{HealthyPanicThreshold: wholePercent(b.PanicBasisPoints)}
	switch b.Policy {
	case model.LeastRequest:
		c.LbPolicy = clusterv3.Cluster_LEAST_REQUEST
		c.LbConfig = &clusterv3.Cluster_LeastRequestLbConfig_{LeastRequestLbConfig: &clusterv3.Cluster_LeastRequestLbConfig{
			ChoiceCount: uint32Value(b.Choices), SlowStartConfig: slowStart(b.SlowStart),
		}}
	case model.Random:
		c.LbPolicy = clusterv3.Cluster_RANDOM
	case model.RingHash:
		c.LbPolicy = clusterv3.Cluster_RING_HASH
		c.LbConfig = &clusterv3.Cluster_RingHashLbConfig_{RingHashLbConfig: &clusterv3.Cluster_RingHashLbConfig{
			MinimumRingSize: wrapperspb.UInt64(uint64(b.RingMin)), MaximumRingSize: wrapperspb.UInt64(uint64(b.RingMax)),
		}}
	case model.Maglev:
		c.LbPolicy = clusterv3.Cluster_MAGLEV
		c.LbConfig = &clusterv3.Cluster_MaglevLbConfig_{MaglevLbConfig: &clusterv3.Cluster_MaglevLbConfig{
			TableSize: wrapperspb.UInt64(uint64(b.Table)),
		}}
	default:
		c.LbPolicy = clusterv3.Cluster_ROUND_ROBIN
		if b.SlowStart != nil {
			c.LbConfig = &clusterv3.Cluster_RoundRobinLbConfig_{RoundRobinLbConfig: &clusterv3.Cluster_RoundRobinLbConfig{
				SlowStartConfig: slowStart(b.SlowStart),
			}}
		}
	}
}

// aggressionKey is the runtime key that Envoy insists on; nothing sets it.
const aggressionKey = "meshc.slow_start.aggression"

func slowStart(s *model.SlowStart) *clusterv3.Cluster_SlowStartConfig {
	if s == nil {
		return nil
	}
	return &clusterv3.Cluster_SlowStartConfig{
		SlowStartWindow:  duration(s.Window),
		Aggression:       &corev3.RuntimeDouble{DefaultValue: float64(s.AggressionHundredths) / 100, RuntimeKey: aggressionKey},
		MinWeightPercent: wholePercent(s.MinBasisPoints),
	}
}

// wholePercent writes basis points as Envoy's Percent, which is a double: the
// nearest one to a decimal of two places reads back as that decimal.
func wholePercent(basisPoints uint32) *typev3.Percent {
	return &typev3.Percent{Value: float64(basisPoints) / 100}
}
