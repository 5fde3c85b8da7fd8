package language

import (
	"encoding/json"
	"net"
	"sync"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	grpcxds "google.golang.org/grpc/xds"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/emit/xds/valid"
	"github.com/meshc/meshc/compiler/model"
)

const endpointType = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"

// channels opens a gRPC channel to every target of every application in all
// that reads xDS itself, and waits until grpc-go has confirmed what it asked
// for. It gives how many there were.
func channels(t *testing.T, m *model.Mesh, all []*model.Workload) int {
	t.Helper()
	n := 0
	for _, w := range all {
		if w.Role != model.RoleGRPC {
			continue
		}
		res, err := xds.Emit(m, w, all, xds.Options{Now: now})
		if err != nil {
			t.Errorf("%s: %v", w.NodeID(), err)
			continue
		}
		if len(res.Listeners) > 0 {
			n += len(res.Listeners)
			readByGRPC(t, w.NodeID(), res)
		}
	}
	return n
}

// readByGRPC serves res to grpc-go.
func readByGRPC(t *testing.T, node string, res *xds.Resources) {
	t.Helper()
	s := &plainADS{resources: map[string]map[string]*anypb.Any{}, confirmed: make(chan struct{})}
	for _, msg := range messages(res) {
		if err := s.hold(msg); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range res.Endpoints {
		if reached(res, e.ClusterName) {
			s.waiting++
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, s)
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	defer func() { g.Stop(); <-served }()
	for _, one := range res.Listeners {
		defer open(t, l.Addr().String(), node, one.Name).Close()
	}
	select {
	case <-s.confirmed:
	case <-time.After(30 * time.Second):
		t.Errorf("%s: grpc-go does not confirm: %v", node, s.state())
	}
	if s.refused != "" {
		t.Errorf("%s: grpc-go refuses: %s", node, s.refused)
	}
}

// reached says that a route leads to a cluster.
func reached(res *xds.Resources, cluster string) bool {
	for _, rc := range res.Routes {
		for _, name := range valid.Destinations(rc) {
			if name == cluster {
				return true
			}
		}
	}
	return false
}

func open(t *testing.T, server, node, target string) *grpc.ClientConn {
	t.Helper()
	files := map[string]string{"certificate_file": "/nowhere/cert", "private_key_file": "/nowhere/key", "ca_certificate_file": "/nowhere/ca"}
	boot, err := json.Marshal(map[string]any{
		"node": map[string]string{"id": node},
		"xds_servers": []any{map[string]any{
			"server_uri": server, "channel_creds": []any{map[string]any{"type": "insecure"}}, "server_features": []string{"xds_v3"},
		}},
		"certificate_providers": map[string]any{xds.GRPCProvider: map[string]any{"plugin_name": "file_watcher", "config": files}},
	})
	if err != nil {
		t.Fatal(err)
	}
	resolver, err := grpcxds.NewXDSResolverWithConfigForTesting(boot)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("xds:///"+target, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithResolvers(resolver))
	if err != nil {
		t.Fatal(err)
	}
	conn.Connect()
	return conn
}

// plainADS serves one fixed set of resources, state of the world, and notes
// what the client makes of it.
type plainADS struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer

	resources map[string]map[string]*anypb.Any // by type and name

	mu        sync.Mutex
	waiting   int // endpoints that are not confirmed
	endpoints map[string]bool
	refused   string
	done      bool
	confirmed chan struct{} // closed at a refusal too
}

func (s *plainADS) hold(m proto.Message) error {
	packed, err := anypb.New(m)
	if err != nil {
		return err
	}
	if s.resources[packed.TypeUrl] == nil {
		s.resources[packed.TypeUrl] = map[string]*anypb.Any{}
	}
	s.resources[packed.TypeUrl][valid.Name(m)] = packed
	return nil
}

func (s *plainADS) StreamAggregatedResources(stream discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	asked := map[string]int{}
	for {
		req, err := stream.Recv()
		if err != nil {
			return nil // the client is gone
		}
		s.note(req)
		names := req.GetResourceNames()
		if req.GetResponseNonce() != "" && len(names) == asked[req.GetTypeUrl()] {
			continue // it says what it made of the last answer
		}
		asked[req.GetTypeUrl()] = len(names)
		out := &discoveryv3.DiscoveryResponse{TypeUrl: req.GetTypeUrl(), VersionInfo: "1", Nonce: "n"}
		for _, name := range names {
			if one := s.resources[req.GetTypeUrl()][name]; one != nil {
				out.Resources = append(out.Resources, one)
			}
		}
		if err := stream.Send(out); err != nil {
			return nil
		}
	}
}

func (s *plainADS) note(req *discoveryv3.DiscoveryRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := req.GetErrorDetail(); e != nil {
		s.refused += req.GetTypeUrl() + ": " + e.GetMessage() + "\n"
	}
	if req.GetTypeUrl() == endpointType && req.GetVersionInfo() != "" {
		for _, name := range req.GetResourceNames() {
			if s.endpoints == nil {
				s.endpoints = map[string]bool{}
			}
			s.endpoints[name] = true
		}
	}
	if !s.done && (s.refused != "" || len(s.endpoints) == s.waiting) {
		s.done = true
		close(s.confirmed)
	}
}

func (s *plainADS) state() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}
