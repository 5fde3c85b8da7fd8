package cluster

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// oracle answers what the test says, as grpc-go sends it.
type oracle struct {
	healthpb.UnimplementedHealthServer
	said      healthpb.HealthCheckResponse_ServingStatus
	err       error
	asked     string
	authority []string
}

func (o *oracle) Check(ctx context.Context, in *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	o.asked = in.GetService()
	md, _ := metadata.FromIncomingContext(ctx)
	o.authority = md.Get(":authority")
	return &healthpb.HealthCheckResponse{Status: o.said}, o.err
}

func TestAskGRPC(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &oracle{}
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, o)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	s := &State{snap: &snapshot.Cluster{Name: "c"}, health: &snapshot.Health{GRPC: &snapshot.HealthGRPC{Service: "shop.Cart", Authority: "cart.example"}}}
	p := prober{target: netip.MustParseAddrPort(l.Addr().String())}
	p.ctx, p.cancel = context.WithCancel(t.Context())
	defer p.drop()
	defer p.cancel()
	ask := func() Outcome {
		ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
		defer cancel()
		return p.ask(ctx, s)
	}
	for _, c := range []struct {
		said healthpb.HealthCheckResponse_ServingStatus
		err  error
		want Outcome
	}{
		{healthpb.HealthCheckResponse_SERVING, nil, Good},
		{healthpb.HealthCheckResponse_NOT_SERVING, nil, Bad},
		{healthpb.HealthCheckResponse_SERVICE_UNKNOWN, nil, Bad},
		{healthpb.HealthCheckResponse_SERVING, status.Error(codes.NotFound, "unknown service"), Bad},
		{healthpb.HealthCheckResponse_SERVING, nil, Good},
	} {
		o.said, o.err = c.said, c.err
		if got := ask(); got != c.want {
			t.Errorf("%v, %v: %v, want %v", c.said, c.err, got, c.want)
		}
	}
	if o.asked != "shop.Cart" || len(o.authority) != 1 || o.authority[0] != "cart.example" {
		t.Errorf("asked about %q at %q", o.asked, o.authority)
	}
	server.Stop()
	if got := ask(); got != Silence {
		t.Errorf("nobody listens: %v", got)
	}
}
