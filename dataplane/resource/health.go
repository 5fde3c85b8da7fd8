package resource

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// defaultNoTraffic is Envoy's default of no_traffic_interval.
const defaultNoTraffic = time.Minute

// healthChecks reads how endpoints are asked.
func healthChecks(m *clusterv3.Cluster) (*snapshot.Health, error) {
	checks := m.GetHealthChecks()
	switch {
	case len(checks) == 0:
		return nil, nil
	case len(checks) > 1:
		return nil, fmt.Errorf("health_checks: %d where one is supported", len(checks))
	case !m.GetIgnoreHealthOnHostRemoval():
		return nil, errors.New("health_checks: only with ignore_health_on_host_removal: an endpoint that discovery takes away is gone at once")
	}
	h, err := healthCheck(checks[0])
	if err != nil {
		return nil, fmt.Errorf("health_checks[0]: %w", err)
	}
	return h, nil
}

func healthCheck(c *corev3.HealthCheck) (*snapshot.Health, error) {
	h := &snapshot.Health{
		Interval:       c.GetInterval().AsDuration(),
		NoTraffic:      spanOr(c.GetNoTrafficInterval(), defaultNoTraffic),
		Timeout:        c.GetTimeout().AsDuration(),
		HealthyAfter:   int(c.GetHealthyThreshold().GetValue()),
		UnhealthyAfter: int(c.GetUnhealthyThreshold().GetValue()),
	}
	if h.Interval < time.Millisecond || h.NoTraffic < time.Millisecond || h.Timeout < time.Millisecond {
		return nil, errors.New("interval, no_traffic_interval and timeout: less than 1 ms is not supported")
	}
	if h.HealthyAfter < 1 || h.UnhealthyAfter < 1 {
		return nil, errors.New("healthy_threshold and unhealthy_threshold: only values above 0 are supported")
	}
	var err error
	switch by := c.GetHealthChecker().(type) {
	case *corev3.HealthCheck_HttpHealthCheck_:
		h.HTTP, err = httpCheck(by.HttpHealthCheck)
	case *corev3.HealthCheck_TcpHealthCheck_:
		h.TCP, err = tcpCheck(by.TcpHealthCheck)
	case *corev3.HealthCheck_GrpcHealthCheck_:
		h.GRPC = &snapshot.HealthGRPC{Service: by.GrpcHealthCheck.GetServiceName(), Authority: by.GrpcHealthCheck.GetAuthority()}
	default:
		err = errors.New("needs http_health_check, tcp_health_check or grpc_health_check")
	}
	return h, err
}

func httpCheck(c *corev3.HealthCheck_HttpHealthCheck) (*snapshot.HealthHTTP, error) {
	if m := c.GetMethod(); m != corev3.RequestMethod_METHOD_UNSPECIFIED && m != corev3.RequestMethod_GET {
		return nil, fmt.Errorf("http_health_check: method: %v is not supported (only GET)", m)
	}
	if c.GetCodecClientType() != typev3.CodecClientType_HTTP1 {
		return nil, fmt.Errorf("http_health_check: codec_client_type: %v is not supported (only HTTP1)", c.GetCodecClientType())
	}
	if u, err := url.ParseRequestURI(c.GetPath()); err != nil || u.Host != "" || c.GetPath()[0] != '/' {
		return nil, fmt.Errorf("http_health_check: path: %q is not a path", c.GetPath())
	}
	out := &snapshot.HealthHTTP{Host: c.GetHost(), Path: c.GetPath()}
	for _, r := range c.GetExpectedStatuses() {
		if r.GetStart() < 100 || r.GetEnd() > 600 || r.GetStart() >= r.GetEnd() {
			return nil, fmt.Errorf("http_health_check: expected_statuses: %d to %d is no range of statuses", r.GetStart(), r.GetEnd())
		}
		out.Statuses = append(out.Statuses, snapshot.StatusRange{From: int(r.GetStart()), To: int(r.GetEnd())})
	}
	return out, nil
}

func tcpCheck(c *corev3.HealthCheck_TcpHealthCheck) (*snapshot.HealthTCP, error) {
	out := &snapshot.HealthTCP{}
	var err error
	if out.Send, err = payload(c.GetSend()); err != nil {
		return nil, fmt.Errorf("tcp_health_check: send: %w", err)
	}
	for i, p := range c.GetReceive() {
		raw, err := payload(p)
		if err != nil {
			return nil, fmt.Errorf("tcp_health_check: receive[%d]: %w", i, err)
		}
		out.Receive = append(out.Receive, raw)
	}
	return out, nil
}

func payload(p *corev3.HealthCheck_Payload) ([]byte, error) {
	switch p := p.GetPayload().(type) {
	case *corev3.HealthCheck_Payload_Text:
		return hex.DecodeString(p.Text)
	case *corev3.HealthCheck_Payload_Binary:
		return p.Binary, nil
	}
	return nil, nil
}

// asked is where an endpoint at addr is asked, when that is elsewhere: the port
// alone, or address and port.
func asked(c *endpointv3.Endpoint_HealthCheckConfig, addr netip.AddrPort) (netip.AddrPort, error) {
	if c == nil {
		return netip.AddrPort{}, nil
	}
	port := c.GetPortValue()
	if s := c.GetAddress().GetSocketAddress(); s != nil {
		ip, err := netip.ParseAddr(s.GetAddress())
		if err != nil {
			return netip.AddrPort{}, fmt.Errorf("health_check_config: address: %q is not an IP address", s.GetAddress())
		}
		addr = netip.AddrPortFrom(ip, addr.Port())
		if port == 0 {
			port = s.GetPortValue()
		}
	}
	if port > 65535 {
		return netip.AddrPort{}, fmt.Errorf("health_check_config: port %d is above 65535", port)
	}
	if port != 0 {
		addr = netip.AddrPortFrom(addr.Addr(), uint16(port))
	}
	return addr, nil
}
