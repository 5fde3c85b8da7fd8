package xds

import (
	"encoding/hex"
	"fmt"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/meshc/meshc/compiler/model"
)

// setHealth has the endpoints of a cluster asked whether they are well. An
// endpoint that discovery takes away is gone at once, however well it is.
func setHealth(c *clusterv3.Cluster, h *model.Health) {
	if h == nil {
		return
	}
	check := &corev3.HealthCheck{
		Interval: duration(h.Interval),
		// A cluster without requests is asked as often as one that has some.
		NoTrafficInterval:  duration(h.Interval),
		Timeout:            duration(h.Timeout),
		HealthyThreshold:   uint32Value(h.HealthyAfter),
		UnhealthyThreshold: uint32Value(h.UnhealthyAfter),
	}
	switch {
	case h.HTTP != nil:
		check.HealthChecker = &corev3.HealthCheck_HttpHealthCheck_{HttpHealthCheck: httpHealth(h.HTTP)}
	case h.GRPC != nil:
		// Unsaid, the authority would be the name of the cluster.
		check.HealthChecker = &corev3.HealthCheck_GrpcHealthCheck_{GrpcHealthCheck: &corev3.HealthCheck_GrpcHealthCheck{
			ServiceName: h.GRPC.Service, Authority: h.GRPC.Authority,
		}}
	default:
		check.HealthChecker = &corev3.HealthCheck_TcpHealthCheck_{TcpHealthCheck: tcpHealth(h.TCP)}
	}
	c.HealthChecks = []*corev3.HealthCheck{check}
	c.IgnoreHealthOnHostRemoval = true
}

func httpHealth(h *model.HealthHTTP) *corev3.HealthCheck_HttpHealthCheck {
	out := &corev3.HealthCheck_HttpHealthCheck{
		Host: h.Host, Path: h.Path, Method: corev3.RequestMethod_GET, CodecClientType: typev3.CodecClientType_HTTP1,
	}
	for _, status := range h.Statuses {
		out.ExpectedStatuses = append(out.ExpectedStatuses, &typev3.Int64Range{Start: int64(status), End: int64(status) + 1})
	}
	return out
}

// tcpHealth writes payloads as Envoy takes them: in hexadecimal.
func tcpHealth(h *model.HealthTCP) *corev3.HealthCheck_TcpHealthCheck {
	out := &corev3.HealthCheck_TcpHealthCheck{}
	if h.Send != "" {
		out.Send = payload(h.Send)
	}
	for _, text := range h.Receive {
		out.Receive = append(out.Receive, payload(text))
	}
	return out
}

func payload(text string) *corev3.HealthCheck_Payload {
	return &corev3.HealthCheck_Payload{
		Payload: &corev3.HealthCheck_Payload_Text{Text: hex.EncodeToString([]byte(text))},
	}
}

// asked gives where w is asked, when that is not where it is called; placed is
// false when discovery does not say where that is. A health check of nothing
// would make the instance unwell.
func asked(h *model.Health, w *model.Workload) (at *endpointv3.Endpoint_HealthCheckConfig, placed bool, err error) {
	if h == nil || h.Port == 0 {
		return nil, true, nil
	}
	if w.Inbound[h.Port] == "" || w.Role == model.RoleSidecar && w.App[h.Port] == "" {
		return nil, false, nil
	}
	a, err := address(w.Inbound[h.Port])
	if err != nil {
		return nil, false, fmt.Errorf("workload %s/%s, health port %d: %w", w.Service.Namespace, w.ID, h.Port, err)
	}
	return &endpointv3.Endpoint_HealthCheckConfig{Address: a, PortValue: a.GetSocketAddress().GetPortValue()}, true, nil
}
