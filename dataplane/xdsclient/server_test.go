package xdsclient_test

import (
	"context"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshc/meshc/dataplane/resource"
)

const patience = 20 * time.Second

// control is a control plane that a test plays by hand: it gives each stream to
// the test and says nothing by itself.
type control struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	t       *testing.T
	path    string
	streams chan *stream

	mu     sync.Mutex
	server *grpc.Server
}

// stream is one client's connection.
type stream struct {
	t        *testing.T
	grpc     discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer
	requests chan *discoveryv3.DeltaDiscoveryRequest
	end      chan struct{}
	nonce    int
}

func newControl(t *testing.T) *control {
	c := &control{t: t, path: filepath.Join(t.TempDir(), "ads"), streams: make(chan *stream, 16)}
	c.start()
	t.Cleanup(c.stop)
	return c
}

func (c *control) start() {
	l, err := net.Listen("unix", c.path)
	if err != nil {
		c.t.Fatal(err)
	}
	server := grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(server, c)
	c.mu.Lock()
	c.server = server
	c.mu.Unlock()
	go func() { _ = server.Serve(l) }()
}

func (c *control) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.server.Stop()
}

func (c *control) DeltaAggregatedResources(g discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	s := &stream{t: c.t, grpc: g, requests: make(chan *discoveryv3.DeltaDiscoveryRequest, 64), end: make(chan struct{})}
	c.streams <- s
	go func() {
		for {
			req, err := g.Recv()
			if err != nil {
				close(s.requests)
				return
			}
			s.requests <- req
		}
	}()
	select {
	case <-s.end:
	case <-g.Context().Done():
	}
	return nil
}

func (c *control) client() discoveryv3.AggregatedDiscoveryServiceClient {
	conn, err := grpc.NewClient("unix://"+c.path, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 10 * time.Millisecond, Multiplier: 1, MaxDelay: 20 * time.Millisecond},
			MinConnectTimeout: patience,
		}))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = conn.Close() })
	return discoveryv3.NewAggregatedDiscoveryServiceClient(conn)
}

func (c *control) accept() *stream { return take(c.t, c.streams, "a stream") }

func take[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v, ok := <-from:
		if !ok {
			t.Fatalf("the connection ended before %s", what)
		}
		return v
	case <-time.After(patience):
		t.Fatalf("no %s in %v", what, patience)
	}
	panic("unreachable")
}

func (s *stream) next() *discoveryv3.DeltaDiscoveryRequest {
	s.t.Helper()
	return take(s.t, s.requests, "request")
}

// send gives the nonce it used.
func (s *stream) send(url string, resources []*discoveryv3.Resource, removed ...string) string {
	s.t.Helper()
	s.nonce++
	nonce := url + "/" + string(rune('a'+s.nonce))
	err := s.grpc.Send(&discoveryv3.DeltaDiscoveryResponse{TypeUrl: url, Nonce: nonce, Resources: resources, RemovedResources: removed})
	if err != nil {
		s.t.Fatal(err)
	}
	return nonce
}

// acked waits for the answer to nonce, and gives the subscriptions that came
// before it, and its error.
func (s *stream) acked(nonce string) (subscribed []string, refusal string) {
	s.t.Helper()
	for {
		req := s.next()
		if req.GetResponseNonce() == nonce {
			return subscribed, req.GetErrorDetail().GetMessage()
		}
		for _, name := range req.GetResourceNamesSubscribe() {
			subscribed = append(subscribed, short(req.GetTypeUrl())+" +"+name)
		}
		for _, name := range req.GetResourceNamesUnsubscribe() {
			subscribed = append(subscribed, short(req.GetTypeUrl())+" -"+name)
		}
	}
}

// givesUp waits for the end of one subscription.
func (s *stream) givesUp(kind, name string) {
	s.t.Helper()
	req := s.next()
	if short(req.GetTypeUrl()) != kind || len(req.GetResourceNamesUnsubscribe()) != 1 || req.GetResourceNamesUnsubscribe()[0] != name {
		s.t.Errorf("got %v, want %s -%s", req, kind, name)
	}
}

func short(url string) string {
	return map[string]string{
		resource.ListenerType: "lds", resource.RouteType: "rds", resource.ClusterType: "cds",
		resource.EndpointsType: "eds", resource.SecretType: "sds",
	}[url]
}

// wire makes one resource of JSON.
func wire[M proto.Message](t *testing.T, name, version string, m M, text string) []*discoveryv3.Resource {
	t.Helper()
	if err := protojson.Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	packed, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return []*discoveryv3.Resource{{Name: name, Version: version, Resource: packed}}
}

// background runs f until the test ends, which waits for it.
func background(t *testing.T, f func(context.Context)) context.CancelFunc {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); f(ctx) }()
	stop := func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}
