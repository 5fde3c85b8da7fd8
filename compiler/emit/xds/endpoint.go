package xds

import (
	"fmt"

	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

	"github.com/meshc/meshc/compiler/model"
)

// endpoints lists the ready instances of one version at one port, grouped by
// place, as the proxy is to choose among them. Instances that are not ready are left out and not marked unhealthy:
// Envoy's panic threshold would send them traffic.
func (e *emitter) endpoints(cluster string, s *model.Service, version string, port uint16) (*endpointv3.ClusterLoadAssignment, error) {
	ends := make(map[model.Locality][]*endpointv3.LbEndpoint)
	owner := make(map[string]string)
	for _, w := range e.workloads[instance{s.Ref, version}] {
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
		ends[w.Locality] = append(ends[w.Locality], end)
	}
	policy := s.LocalityOf(version)
	return loadAssignment(cluster, places(policy, e.self.Locality, e.fleets[fleetOf(e.self)], ends)), nil
}
