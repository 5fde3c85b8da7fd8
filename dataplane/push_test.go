package dataplane_test

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	metricsv1 "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/dataplane"
)

// received keeps the metrics that a collector is sent, by name.
type received struct {
	mu sync.Mutex
	by map[string]*metricsv1.Metric
}

func (r *received) export(_ any, s grpc.ServerStream) error {
	var raw []byte
	if err := s.RecvMsg(&raw); err != nil {
		return err
	}
	var data metricsv1.MetricsData
	if err := proto.Unmarshal(raw, &data); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, in := range data.ResourceMetrics {
		for _, m := range in.ScopeMetrics[0].Metrics {
			r.by[m.Name] = m
		}
	}
	return s.SendMsg(&[]byte{})
}

func (r *received) get(name string) *metricsv1.Metric {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.by[name]
}

type asIs struct{}

func (asIs) Name() string                  { return "as-is" }
func (asIs) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (asIs) Unmarshal(raw []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), raw...)
	return nil
}

const pushYAML = `
node: {id: "sidecar~prod/a", cluster: prod/a, metadata: {version: v3}}
stats_flush_interval: 0.05s
stats_sinks:
- name: otlp
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.stat_sinks.open_telemetry.v3.SinkConfig
    grpc_service: {envoy_grpc: {cluster_name: otel}}
static_resources:
  clusters:
  - name: otel
    type: STATIC
    load_assignment: {cluster_name: otel, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: %s, port_value: %s}}}}]}]}
    typed_extension_protocol_options:
      http: {"@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: {http2_protocol_options: {}}}
  listeners:
  - %s`

// TestMetricsArePushed: what a collector is sent is what a scrape shows, and a
// page of the admin endpoint says what the clusters are.
func TestMetricsArePushed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	got := &received{by: map[string]*metricsv1.Metric{}}
	s := grpc.NewServer(grpc.ForceServerCodec(asIs{}), grpc.UnknownServiceHandler(got.export))
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	host, port := split(t, l.Addr().String())
	listener := strings.TrimSpace(fmt.Sprintf(listenerYAML, "in", `route_config: {name: r, virtual_hosts: [{name: v, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 204}}]}]}`))
	r := start(t, dataplane.Options{Bootstrap: parse(t, fmt.Sprintf(pushYAML, host, port, listener))})
	for range 3 {
		if status, _ := r.get(t, "in", "/"); status != 204 {
			t.Fatalf("status %d", status)
		}
	}
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if m := got.get("istio_requests_total"); m != nil && m.GetSum().DataPoints[0].GetAsInt() == 3 && got.get("meshc_config_info") != nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%v", got.get("istio_requests_total"))
		}
	}
	_, scraped := r.page(t, "/stats/prometheus")
	for _, want := range []string{`istio_requests_total{`, `source_workload="a-v3"`, `source_workload_namespace="prod"`, "meshc_config_info{digest=\"static\"} 1\n", "meshc_metrics_push_points_sent"} {
		if !strings.Contains(scraped, want) {
			t.Errorf("no %s in\n%s", want, scraped)
		}
	}
	var clusters adminv3.Clusters
	if _, page := r.page(t, "/clusters?format=json"); protojson.Unmarshal([]byte(page), &clusters) != nil || !slices.ContainsFunc(clusters.ClusterStatuses, func(c *adminv3.ClusterStatus) bool {
		return c.Name == "otel" && c.HostStatuses[0].Address.GetSocketAddress().GetPortValue() == uint32(l.Addr().(*net.TCPAddr).Port) && c.CircuitBreakers.Thresholds[0].MaxConnections.GetValue() == 1024
	}) {
		t.Errorf("clusters: %s", page)
	}
	if _, page := r.page(t, "/clusters"); !strings.Contains(page, "otel::"+l.Addr().String()+"::health_flags::healthy\n") || !strings.Contains(page, "otel::default_priority::max_connections::1024\n") {
		t.Errorf("%s", page)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

// A collector that takes a request and never answers does not keep the proxy.
func TestACollectorThatHangs(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{}, 1)
	s := grpc.NewServer(grpc.ForceServerCodec(asIs{}), grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error {
		asked <- struct{}{}
		<-s.Context().Done()
		return s.Context().Err()
	}))
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	host, port := split(t, l.Addr().String())
	listener := strings.TrimSpace(fmt.Sprintf(listenerYAML, "in", `route_config: {name: r, virtual_hosts: [{name: v, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 204}}]}]}`))
	r := start(t, dataplane.Options{Bootstrap: parse(t, fmt.Sprintf(pushYAML, host, port, listener))})
	<-asked
	began := time.Now()
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the proxy took %v to end", took)
	}
}
