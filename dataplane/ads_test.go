package dataplane_test

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"sigs.k8s.io/yaml"

	"github.com/meshc/meshc/dataplane"
	"github.com/meshc/meshc/test/soak"
)

// controller answers every subscription with all it has of the type, and sends
// what push gives it.
type controller struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	server *grpc.Server
	addr   string
	push   chan *discoveryv3.DeltaDiscoveryResponse

	mu        sync.Mutex
	resources map[string][]*discoveryv3.Resource
}

func newController(t *testing.T) *controller {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &controller{
		server: grpc.NewServer(), addr: l.Addr().String(),
		push: make(chan *discoveryv3.DeltaDiscoveryResponse, 8), resources: make(map[string][]*discoveryv3.Resource),
	}
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(c.server, c)
	go func() { _ = c.server.Serve(l) }()
	t.Cleanup(c.server.Stop)
	return c
}

func (c *controller) DeltaAggregatedResources(s discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	requests := make(chan *discoveryv3.DeltaDiscoveryRequest)
	go func() {
		defer close(requests)
		for {
			req, err := s.Recv()
			if err != nil {
				return
			}
			select {
			case requests <- req:
			case <-s.Context().Done():
				return
			}
		}
	}()
	for {
		resp := new(discoveryv3.DeltaDiscoveryResponse)
		select {
		case req, ok := <-requests:
			if !ok {
				return nil
			}
			if len(req.GetResourceNamesSubscribe()) == 0 {
				continue
			}
			c.mu.Lock()
			resp = &discoveryv3.DeltaDiscoveryResponse{TypeUrl: req.GetTypeUrl(), Nonce: "n", Resources: c.resources[req.GetTypeUrl()]}
			c.mu.Unlock()
		case resp = <-c.push:
		}
		if err := s.Send(resp); err != nil {
			return err
		}
	}
}

// set stores one resource, written in YAML.
func (c *controller) set(t *testing.T, name, version string, m proto.Message, text string) *discoveryv3.DeltaDiscoveryResponse {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := protojson.Unmarshal(raw, m); err != nil {
		t.Fatal(err)
	}
	packed, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	list := []*discoveryv3.Resource{{Name: name, Version: version, Resource: packed}}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.resources[packed.GetTypeUrl()] = list
	return &discoveryv3.DeltaDiscoveryResponse{TypeUrl: packed.GetTypeUrl(), Nonce: "p" + version, Resources: list}
}

func (c *controller) endpoints(t *testing.T, version, addr string) *discoveryv3.DeltaDiscoveryResponse {
	host, port := split(t, addr)
	return c.set(t, "app", version, new(endpointv3.ClusterLoadAssignment), fmt.Sprintf(
		`{cluster_name: app, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: %s, port_value: %s}}}}]}]}`, host, port))
}

func (c *controller) bootstrap() string {
	host, port, _ := net.SplitHostPort(c.addr)
	return fmt.Sprintf(`
node: {id: "sidecar~default/x"}
static_resources:
  clusters:
  - name: meshc-controller
    type: STATIC
    typed_extension_protocol_options:
      x: {"@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: {http2_protocol_options: {}}}
    load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: %s, port_value: %s}}}}]}]}
dynamic_resources:
  ads_config: {api_type: DELTA_GRPC, grpc_services: [{envoy_grpc: {cluster_name: meshc-controller}}]}
  lds_config: {ads: {}}
  cds_config: {ads: {}}
`, host, port)
}

func (c *controller) fill(t *testing.T) {
	c.set(t, "in", "1", new(listenerv3.Listener), fmt.Sprintf(listenerYAML, "in", "rds: {route_config_name: r, config_source: {ads: {}}}"))
	c.set(t, "app", "1", new(clusterv3.Cluster), `{name: app, type: EDS, eds_cluster_config: {eds_config: {ads: {}}}}`)
	c.set(t, "r", "1", new(routev3.RouteConfiguration), "{"+routesYAML+"}")
}

func TestADSForwardsFollowsAndServesWithoutIt(t *testing.T) {
	c := newController(t)
	c.fill(t)
	c.endpoints(t, "1", backend(t, "one"))
	opts := dataplane.Options{Bootstrap: parse(t, c.bootstrap()), LastGood: t.TempDir()}
	r := start(t, opts)
	if status, body := r.get(t, "in", "/a"); status != 200 || body != "one /a yes" {
		t.Errorf("%d %q", status, body)
	}
	c.push <- c.endpoints(t, "2", backend(t, "two"))
	eventually(t, func() bool { _, body := r.get(t, "in", "/a"); return strings.HasPrefix(body, "two") })

	bad := c.set(t, "app", "3", new(clusterv3.Cluster), `{name: app, type: EDS, eds_cluster_config: {eds_config: {ads: {}}}, alt_stat_name: x}`)
	c.push <- bad
	eventually(t, func() bool {
		_, body := r.page(t, "/stats?filter=cds_update_rejected")
		return strings.HasSuffix(body, ": 1\n")
	})
	if status, _ := r.get(t, "in", "/a"); status != 200 {
		t.Errorf("after a bad update: %d", status)
	}
	if _, body := r.page(t, "/config_dump"); !strings.Contains(body, "dynamic_route_configs") || strings.Contains(body, "PRIVATE") {
		t.Errorf("config dump: %s", body)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}

	c.server.Stop() // nobody to ask
	begun := time.Now()
	r = start(t, opts)
	if status, body := r.get(t, "in", "/a"); status != 200 || body != "two /a yes" {
		t.Errorf("from the last good configuration: %d %q", status, body)
	}
	if took := time.Since(begun); took > soak.Within(time.Second) {
		t.Errorf("first answer after %v", took)
	}
}

func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not come about")
		}
	}
}
