package resource

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strconv"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// Endpoints is a decoded ClusterLoadAssignment.
type Endpoints struct {
	Name string
	List []snapshot.Endpoint // IP addresses
	DNS  []Host              // names, of STRICT_DNS clusters only

	Overprovisioning uint32 // as in snapshot.Cluster
}

// Host is one name to resolve; every address of it becomes an endpoint like
// Like.
type Host struct {
	Name string
	Port uint16
	Like snapshot.Endpoint
}

// ResourceName implements Resource.
func (e *Endpoints) ResourceName() string { return e.Name }

func decodeEndpoints(m *endpointv3.ClusterLoadAssignment) (Resource, error) {
	return endpointsOf(m, false)
}

func endpointsOf(m *endpointv3.ClusterLoadAssignment, dns bool) (*Endpoints, error) {
	out := &Endpoints{Name: m.GetClusterName()}
	if f := m.GetPolicy().GetOverprovisioningFactor(); f != nil {
		if out.Overprovisioning = f.GetValue(); out.Overprovisioning == 0 {
			return nil, errors.New("policy: overprovisioning_factor: must be above 0")
		}
	}
	if err := localitiesOnce(m.GetEndpoints()); err != nil {
		return nil, err
	}
	seen := make(map[string]bool)
	for i, group := range m.GetEndpoints() {
		for j, e := range group.GetLbEndpoints() {
			if err := out.add(group, e, seen, dns); err != nil {
				return nil, fmt.Errorf("endpoints[%d].lb_endpoints[%d]: %w", i, j, err)
			}
		}
	}
	return out, nil
}

// maxPriority is the protocol's bound.
const maxPriority = 128

// localitiesOnce refuses a locality that a priority has twice with different
// weights, and weights that sum to more than the protocol allows.
func localitiesOnce(groups []*endpointv3.LocalityLbEndpoints) error {
	type key struct {
		at       snapshot.Locality
		priority uint32
	}
	seen, sums := make(map[key]uint32), make(map[uint32]uint64)
	for i, group := range groups {
		p, weight := group.GetPriority(), group.GetLoadBalancingWeight().GetValue()
		if p > maxPriority {
			return fmt.Errorf("endpoints[%d]: priority: %d is above %d", i, p, maxPriority)
		}
		k := key{localityOf(group), p}
		if w, twice := seen[k]; twice && w != weight {
			return fmt.Errorf("endpoints[%d]: load_balancing_weight: the locality is there with another weight in priority %d", i, p)
		} else if !twice {
			sums[p] += uint64(weight)
		}
		seen[k] = weight
		if sums[p] > math.MaxUint32 {
			return fmt.Errorf("endpoints[%d]: load_balancing_weight: the weights of the localities of priority %d sum to more than %d", i, p, uint32(math.MaxUint32))
		}
	}
	return nil
}

func localityOf(group *endpointv3.LocalityLbEndpoints) snapshot.Locality {
	l := group.GetLocality()
	return snapshot.Locality{Region: l.GetRegion(), Zone: l.GetZone(), SubZone: l.GetSubZone()}
}

func (e *Endpoints) add(group *endpointv3.LocalityLbEndpoints, m *endpointv3.LbEndpoint, seen map[string]bool, dns bool) error {
	s := m.GetEndpoint().GetAddress().GetSocketAddress()
	if s == nil {
		return errors.New("needs an endpoint with a socket_address")
	}
	if s.GetPortValue() == 0 || s.GetPortValue() > 65535 {
		return fmt.Errorf("port %d is outside 1 to 65535", s.GetPortValue())
	}
	if at := hostPort(s); seen[at] {
		return fmt.Errorf("address %s is there twice", at)
	} else {
		seen[at] = true
	}
	healthy, err := health(m.GetHealthStatus())
	if err != nil {
		return err
	}
	like := snapshot.Endpoint{Weight: 1, Healthy: healthy, Priority: group.GetPriority(), Locality: localityOf(group)}
	if group.GetLocality() != nil { // to Envoy, what has no locality has no weight of one
		like.LocalityWeight = group.GetLoadBalancingWeight().GetValue()
	}
	if w := m.GetLoadBalancingWeight(); w != nil {
		like.Weight = w.GetValue()
	}
	ip, err := netip.ParseAddr(s.GetAddress())
	switch {
	case err == nil:
		like.Addr = netip.AddrPortFrom(ip, uint16(s.GetPortValue()))
		if like.Asked, err = asked(m.GetEndpoint().GetHealthCheckConfig(), like.Addr); err != nil {
			return err
		}
		e.List = append(e.List, like)
	case dns && s.GetAddress() != "" && m.GetEndpoint().GetHealthCheckConfig() != nil:
		return errors.New("health_check_config: not with an address that is a name")
	case dns && s.GetAddress() != "":
		e.DNS = append(e.DNS, Host{Name: s.GetAddress(), Port: uint16(s.GetPortValue()), Like: like})
	default:
		return fmt.Errorf("%q is not an IP address", s.GetAddress())
	}
	return nil
}

func health(s corev3.HealthStatus) (bool, error) {
	switch s {
	case corev3.HealthStatus_UNKNOWN, corev3.HealthStatus_HEALTHY:
		return true, nil
	case corev3.HealthStatus_UNHEALTHY, corev3.HealthStatus_DRAINING, corev3.HealthStatus_TIMEOUT:
		return false, nil
	}
	return false, fmt.Errorf("health_status: %v is not supported", s)
}

func hostPort(s *corev3.SocketAddress) string {
	return net.JoinHostPort(s.GetAddress(), strconv.Itoa(int(s.GetPortValue())))
}
