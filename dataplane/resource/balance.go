package resource

import (
	"errors"
	"fmt"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

	"github.com/meshc/meshc/dataplane/endpoint"
	"github.com/meshc/meshc/dataplane/snapshot"
)

var policies = map[clusterv3.Cluster_LbPolicy]snapshot.LBPolicy{
	clusterv3.Cluster_ROUND_ROBIN:   snapshot.RoundRobin,
	clusterv3.Cluster_LEAST_REQUEST: snapshot.LeastRequest,
	clusterv3.Cluster_RANDOM:        snapshot.Random,
	clusterv3.Cluster_RING_HASH:     snapshot.RingHash,
	clusterv3.Cluster_MAGLEV:        snapshot.Maglev,
}

// balance reads how requests are spread over endpoints.
func (c *Cluster) balance(m *clusterv3.Cluster) error {
	c.Template.LB = policies[m.GetLbPolicy()]
	b := &c.Template.Balance
	if p := m.GetCommonLbConfig().GetHealthyPanicThreshold(); p != nil {
		// Envoy cuts decimals off, after it has made a share of the percentage.
		if b.Panic = int(100 * (p.GetValue() / 100)); b.Panic == 0 {
			b.Panic = -1
		}
	}
	b.LocalityWeighted = m.GetCommonLbConfig().GetLocalityWeightedLbConfig() != nil
	var policy snapshot.LBPolicy
	var err error
	switch lb := m.GetLbConfig().(type) {
	case nil:
		return nil
	case *clusterv3.Cluster_RoundRobinLbConfig_:
		policy = snapshot.RoundRobin
		b.SlowStart, err = slowStart(lb.RoundRobinLbConfig.GetSlowStartConfig())
	case *clusterv3.Cluster_LeastRequestLbConfig_:
		policy = snapshot.LeastRequest
		b.Choices = lb.LeastRequestLbConfig.GetChoiceCount().GetValue()
		b.SlowStart, err = slowStart(lb.LeastRequestLbConfig.GetSlowStartConfig())
	case *clusterv3.Cluster_RingHashLbConfig_:
		policy = snapshot.RingHash
		err = ringSizes(b, lb.RingHashLbConfig)
	case *clusterv3.Cluster_MaglevLbConfig_:
		policy = snapshot.Maglev
		if b.TableSize = lb.MaglevLbConfig.GetTableSize().GetValue(); b.TableSize != 0 && !prime(b.TableSize) {
			err = fmt.Errorf("table_size: %d is not a prime", b.TableSize)
		}
	default:
		return fmt.Errorf("lb_config: %T is not supported", lb)
	}
	switch {
	case err != nil:
		return fmt.Errorf("lb_config: %w", err)
	case policy != c.Template.LB:
		return fmt.Errorf("lb_config: is not that of lb_policy %v", m.GetLbPolicy())
	}
	return nil
}

func ringSizes(b *snapshot.Balance, r *clusterv3.Cluster_RingHashLbConfig) error {
	least, most := uint64(endpoint.DefaultRingMin), uint64(endpoint.DefaultRingMax)
	if v := r.GetMinimumRingSize(); v != nil {
		least = v.GetValue()
	}
	if v := r.GetMaximumRingSize(); v != nil {
		most = v.GetValue()
	}
	switch {
	case least == 0 || most == 0:
		return errors.New("a ring size is 0")
	case least > most:
		return fmt.Errorf("minimum_ring_size %d is above maximum_ring_size %d", least, most)
	}
	b.RingMin, b.RingMax = least, most
	return nil
}

// slowStart fills in Envoy's defaults.
func slowStart(s *clusterv3.Cluster_SlowStartConfig) (*snapshot.SlowStart, error) {
	if s == nil || s.GetSlowStartWindow().AsDuration() == 0 {
		return nil, nil
	}
	out := &snapshot.SlowStart{Window: s.GetSlowStartWindow().AsDuration(), Aggression: 1, MinPercent: 10}
	if a := s.GetAggression(); a != nil {
		out.Aggression = a.GetDefaultValue()
	}
	if p := s.GetMinWeightPercent(); p != nil {
		out.MinPercent = p.GetValue()
	}
	switch {
	case out.Window < 0:
		return nil, errors.New("slow_start_config: slow_start_window is negative")
	case !(out.Aggression > 0):
		return nil, errors.New("slow_start_config: aggression must be above 0")
	}
	return out, nil
}

func prime(n uint64) bool {
	for d := uint64(2); d*d <= n; d++ {
		if n%d == 0 {
			return false
		}
	}
	return n > 1
}
