package xds

import (
	"fmt"
	"slices"
	"time"

	"github.com/meshc/meshc/compiler/model"
)

// exportTimeout of a batch is what OTLP exporters take by default.
const exportTimeout = 10 * time.Second

// collector gives the cluster and the host of where telemetry goes.
func (e *emitter) collector(c model.Collector) (cluster, host string, err error) {
	if x := e.mesh.External(c.To); x != nil {
		return model.ClusterName(c.Port, "", x.Host), x.Host, nil
	}
	s, err := e.service(c.To)
	if err != nil {
		return "", "", fmt.Errorf("collector: %w", err)
	}
	return model.ClusterName(c.Port, c.Version, s.Host), s.Host, nil
}

// collectors are where the proxy sends telemetry.
func (e *emitter) collectors() []model.Collector {
	if e.self.Role == model.RoleGateway {
		return e.mesh.Gateway(e.self.Service).Collectors()
	}
	return e.mesh.Service(e.self.Service).Collectors()
}

// collectorClusters adds those that the proxy does not have anyway.
func (e *emitter) collectorClusters() error {
	for _, c := range e.collectors() {
		name, _, err := e.collector(c)
		if err != nil {
			return err
		}
		if e.calls(c) || e.hasCluster(name) {
			continue
		}
		if err := e.collectorCluster(c); err != nil {
			return fmt.Errorf("collector: %w", err)
		}
	}
	return nil
}

func (e *emitter) collectorCluster(c model.Collector) error {
	if x := e.mesh.External(c.To); x != nil {
		p := x.Port(c.Port)
		if p == nil {
			return fmt.Errorf("external %s has no port %d", x.Ref, c.Port)
		}
		return e.reachExternal(x, *p)
	}
	s, err := e.service(c.To)
	if err != nil {
		return err
	}
	if s.Port(c.Port) == nil || s.Version(c.Version) == nil {
		return fmt.Errorf("service %s has no port %d, or no version %q", s.Ref, c.Port, c.Version)
	}
	return e.versionCluster(s, c.Version, c.Port)
}

// calls says that the application uses the collector's port too, so that its
// clusters are there.
func (e *emitter) calls(c model.Collector) bool {
	s := e.mesh.Service(e.self.Service)
	return e.self.Role == model.RoleSidecar && slices.Contains(s.Uses, c.To) && len(e.calledAt(c.To, c.Port)) > 0
}
