package dataplane

import (
	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/dataplane/cluster"
	"github.com/meshc/meshc/dataplane/engine"
	"github.com/meshc/meshc/dataplane/snapshot"
)

// Clusters implements admin.Proxy: Envoy's admin.v3.Clusters.
func (p page) Clusters() ([]byte, error) {
	p.mu.Lock()
	e := p.engine
	p.mu.Unlock()
	out := &adminv3.Clusters{}
	if e != nil {
		for _, c := range e.Clusters() {
			out.ClusterStatuses = append(out.ClusterStatuses, clusterStatus(c))
		}
	}
	return protojson.MarshalOptions{UseProtoNames: true, Multiline: true, Indent: " "}.Marshal(out)
}

func clusterStatus(c engine.ClusterStatus) *adminv3.ClusterStatus {
	or := func(said, otherwise uint32) *wrapperspb.UInt32Value {
		if said == 0 {
			said = otherwise
		}
		return wrapperspb.UInt32(said)
	}
	out := &adminv3.ClusterStatus{Name: c.Name, ObservabilityName: c.Name, CircuitBreakers: &clusterv3.CircuitBreakers{
		Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
			MaxConnections:     or(c.MaxConnections, cluster.DefaultMaxConnections),
			MaxPendingRequests: or(c.MaxPending, cluster.DefaultMaxPending),
			MaxRequests:        or(c.MaxRequests, cluster.DefaultMaxRequests),
			MaxRetries:         or(c.MaxRetries, cluster.DefaultMaxRetries),
		}},
	}}
	for _, ep := range c.Endpoints {
		known, watched := c.Known[ep.Addr]
		out.HostStatuses = append(out.HostStatuses, hostStatus(ep, known, watched))
	}
	return out
}

func hostStatus(ep snapshot.Endpoint, known cluster.HostStatus, watched bool) *adminv3.HostStatus {
	eds := corev3.HealthStatus_HEALTHY
	if !ep.Healthy {
		eds = corev3.HealthStatus_UNHEALTHY
	}
	out := &adminv3.HostStatus{
		Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
			Address: ep.Addr.Addr().String(), PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(ep.Addr.Port())},
		}}},
		HealthStatus: &adminv3.HostHealthStatus{EdsHealthStatus: eds, FailedActiveHealthCheck: known.Unwell, FailedOutlierCheck: known.Ejected},
		Weight:       ep.Weight, Priority: ep.Priority,
		Locality: &corev3.Locality{Region: ep.Locality.Region, Zone: ep.Locality.Zone, SubZone: ep.Locality.SubZone},
	}
	if watched {
		out.Stats = append(out.Stats, &adminv3.SimpleMetric{Type: adminv3.SimpleMetric_GAUGE, Name: "rq_active", Value: uint64(max(known.Active, 0))})
	}
	return out
}
