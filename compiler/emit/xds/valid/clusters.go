package valid

import (
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"strconv"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
)

func clusters(c *clusterv3.Cluster) []error {
	out := some(balancer(c))
	switch c.GetType() {
	case clusterv3.Cluster_EDS:
		if c.GetEdsClusterConfig().GetEdsConfig() == nil || c.GetLoadAssignment() != nil {
			out = append(out, fmt.Errorf("an EDS cluster has a source of endpoints, and none of its own"))
		}
	case clusterv3.Cluster_ORIGINAL_DST:
		if c.GetLoadAssignment() != nil {
			out = append(out, fmt.Errorf("an ORIGINAL_DST cluster has no endpoints of its own"))
		}
	default:
		out = append(out, ownEndpoints(c)...)
	}
	return out
}

// ownEndpoints are addresses, or names where DNS is asked.
func ownEndpoints(c *clusterv3.Cluster) []error {
	ends := c.GetLoadAssignment()
	if ends == nil {
		return some(fmt.Errorf("a %s cluster has endpoints of its own", c.GetType()))
	}
	n := 0
	for _, group := range ends.GetEndpoints() {
		n += len(group.GetLbEndpoints())
		for _, e := range group.GetLbEndpoints() {
			s := e.GetEndpoint().GetAddress().GetSocketAddress()
			if _, err := netip.ParseAddr(s.GetAddress()); s != nil && err != nil && c.GetType() == clusterv3.Cluster_STATIC {
				return some(fmt.Errorf("the endpoint %q of a STATIC cluster is no IP address", s.GetAddress()))
			}
		}
	}
	if c.GetType() == clusterv3.Cluster_LOGICAL_DNS && n != 1 {
		return some(fmt.Errorf("a LOGICAL_DNS cluster has one endpoint, and not %d", n))
	}
	return nil
}

// balancer: the settings are those of the policy; Envoy does not look at
// others.
func balancer(c *clusterv3.Cluster) error {
	want := c.GetLbPolicy()
	switch lb := c.GetLbConfig().(type) {
	case nil:
		return nil
	case *clusterv3.Cluster_RoundRobinLbConfig_:
		want = clusterv3.Cluster_ROUND_ROBIN
	case *clusterv3.Cluster_LeastRequestLbConfig_:
		want = clusterv3.Cluster_LEAST_REQUEST
	case *clusterv3.Cluster_RingHashLbConfig_:
		want = clusterv3.Cluster_RING_HASH
		if r := lb.RingHashLbConfig; r.GetMaximumRingSize() != nil && r.GetMinimumRingSize().GetValue() > r.GetMaximumRingSize().GetValue() {
			return fmt.Errorf("the ring's least size %d is more than its most %d", r.GetMinimumRingSize().GetValue(), r.GetMaximumRingSize().GetValue())
		}
	case *clusterv3.Cluster_MaglevLbConfig_:
		want = clusterv3.Cluster_MAGLEV
		if t := lb.MaglevLbConfig.GetTableSize(); t != nil && !new(big.Int).SetUint64(t.GetValue()).ProbablyPrime(0) {
			return fmt.Errorf("the size %d of the Maglev table is no prime", t.GetValue())
		}
	}
	if want != c.GetLbPolicy() {
		return fmt.Errorf("it is balanced by %s and has settings of %s", c.GetLbPolicy(), want)
	}
	return nil
}

// assignments: grpc-go refuses gaps between priorities, an address that is
// there twice, and weights whose sum does not fit 32 bits.
func assignments(a *endpointv3.ClusterLoadAssignment) []error {
	var out []error
	seen, groups, priorities, most := map[string]bool{}, map[uint32]uint64{}, map[uint32]bool{}, uint32(0)
	for _, group := range a.GetEndpoints() {
		p := group.GetPriority()
		priorities[p], most = true, max(most, p)
		groups[p] += uint64(group.GetLoadBalancingWeight().GetValue())
		var sum uint64
		for _, e := range group.GetLbEndpoints() {
			sum += uint64(max(e.GetLoadBalancingWeight().GetValue(), 1))
			if key := place(e.GetEndpoint().GetAddress()); seen[key] {
				out = append(out, fmt.Errorf("an endpoint is there twice: %s", key))
			} else {
				seen[key] = true
			}
		}
		if sum > math.MaxUint32 {
			out = append(out, fmt.Errorf("the weights of endpoints in one locality sum to more than %d", uint32(math.MaxUint32)))
		}
	}
	for p, sum := range groups {
		if sum > math.MaxUint32 {
			out = append(out, fmt.Errorf("the weights of the localities of priority %d sum to more than %d", p, uint32(math.MaxUint32)))
		}
	}
	if len(priorities) > 0 && len(priorities) != int(most)+1 {
		out = append(out, fmt.Errorf("the priorities from 0 to %d are not all there", most))
	}
	return out
}

// place tells addresses apart.
func place(a *corev3.Address) string {
	if s := a.GetSocketAddress(); s != nil {
		return s.GetAddress() + " " + strconv.FormatUint(uint64(s.GetPortValue()), 10) + s.GetNamedPort()
	}
	return a.String()
}

func healthChecks(h *corev3.HealthCheck) []error {
	var out []error
	for _, r := range h.GetHttpHealthCheck().GetExpectedStatuses() {
		if r.GetStart() < 100 || r.GetEnd() > 600 {
			out = append(out, fmt.Errorf("the expected statuses from %d up to %d are not all from 100 up to 600", r.GetStart(), r.GetEnd()))
		}
	}
	return out
}

func payloads(p *corev3.HealthCheck_Payload) []error {
	if _, err := hex.DecodeString(p.GetText()); err != nil {
		return some(fmt.Errorf("text is not in hexadecimal: %w", err))
	}
	return nil
}

// breakers: of two limits for one priority Envoy takes the first.
func breakers(b *clusterv3.CircuitBreakers) []error {
	seen := map[corev3.RoutingPriority]bool{}
	for _, t := range b.GetThresholds() {
		if seen[t.GetPriority()] {
			return some(fmt.Errorf("two thresholds are for the priority %s", t.GetPriority()))
		}
		seen[t.GetPriority()] = true
	}
	return nil
}

func outliers(o *clusterv3.OutlierDetection) []error {
	if o.GetMaxEjectionTime() != nil && o.GetMaxEjectionTime().AsDuration() < o.GetBaseEjectionTime().AsDuration() {
		return some(fmt.Errorf("max_ejection_time %s is less than base_ejection_time %s",
			o.GetMaxEjectionTime().AsDuration(), o.GetBaseEjectionTime().AsDuration()))
	}
	return nil
}
