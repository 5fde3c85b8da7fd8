package xds

import (
	"fmt"
	"maps"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

	"github.com/meshc/meshc/compiler/model"
)

// endpoints lists the ready instances of one version at one port, grouped by
// zone. Instances that are not ready are left out and not marked unhealthy:
// Envoy's panic threshold would send them traffic.
func (ix *index) endpoints(cluster string, s *model.Service, version string, port uint16) (*endpointv3.ClusterLoadAssignment, error) {
	zones := make(map[string][]*endpointv3.LbEndpoint)
	owner := make(map[string]string)
	for _, w := range ix.workloads[instance{s.Ref, version}] {
		if !w.Ready {
			continue
		}
		at := w.Inbound[port]
		if at == "" || w.Role == model.RoleSidecar && w.App[port] == "" {
			continue // unplaced: its own proxy has no listener there
		}
		if other, taken := owner[at]; taken {
			return nil, fmt.Errorf("workloads %s and %s of %s are both at %s", other, w.ID, s.Ref, at)
		}
		owner[at] = w.ID
		a, err := address(at)
		if err != nil {
			return nil, fmt.Errorf("workload %s/%s, inbound port %d: %w", w.Service.Namespace, w.ID, port, err)
		}
		health, placed, err := asked(s.HealthOf(version), w)
		if err != nil {
			return nil, err
		}
		if !placed {
			continue
		}
		end := lbEndpoint(a)
		end.GetEndpoint().HealthCheckConfig = health
		zones[w.Zone] = append(zones[w.Zone], end)
	}
	return byZone(cluster, zones), nil
}

// byZone weighs each zone by its instances, so that grpc-go, which spreads by
// locality weight, gives every instance the same share as Envoy does.
func byZone(cluster string, zones map[string][]*endpointv3.LbEndpoint) *endpointv3.ClusterLoadAssignment {
	out := &endpointv3.ClusterLoadAssignment{ClusterName: cluster}
	for _, zone := range slices.Sorted(maps.Keys(zones)) {
		out.Endpoints = append(out.Endpoints, &endpointv3.LocalityLbEndpoints{
			Locality:            &corev3.Locality{Zone: zone},
			LoadBalancingWeight: uint32Value(uint32(len(zones[zone]))),
			LbEndpoints:         zones[zone],
		})
	}
	return out
}
