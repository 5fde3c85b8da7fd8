package xds

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"math"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	xdscreds "google.golang.org/grpc/credentials/xds"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	grpcxds "google.golang.org/grpc/xds"

	"github.com/meshc/meshc/compiler/model"
)

const grpcNode = "grpc~default/client-0"

// grpcShop is client → reviews over gRPC: the user jason gets v2, the rest is
// split as given.
func grpcShop(v1, v2 string, split ...model.Split) *Desired {
	client, reviews, vault := service("client", model.GRPC, "v1"), service("reviews", model.GRPC, "v1", "v2"), service("vault", model.GRPC, "v1")
	client.Uses = []model.Ref{ref("reviews")}
	jason := route("jason", model.Split{Version: "v2", BasisPoints: model.BasisPointsWhole})
	jason.Match = []model.Match{{Headers: []model.NamedMatch{{Name: "end-user", Kind: model.Exact, Value: "jason"}}}}
	reviews.Routes = []*model.Route{jason, route("rest", split...)}
	instance := func(id, svc, version, addr string) *model.Workload {
		w := &model.Workload{ID: id, Role: model.RoleGRPC, Service: ref(svc), Version: version, Ready: true}
		w.Inbound = map[uint16]string{9080: addr}
		return w
	}
	return &Desired{
		Mesh: &model.Mesh{Name: "shop", TrustDomain: domain, Services: []*model.Service{client, reviews, vault}},
		Workloads: []*model.Workload{
			instance("client-0", "client", "v1", "127.0.0.1:1"),
			instance("reviews-v1-0", "reviews", "v1", v1),
			instance("reviews-v2-0", "reviews", "v2", v2),
			instance("vault-0", "vault", "v1", "127.0.0.1:2"),
		},
	}
}

// startReviews serves health over mutual TLS; what it says tells its version.
func startReviews(t *testing.T, ca *authority, says grpc_health_v1.HealthCheckResponse_ServingStatus) string {
	t.Helper()
	g := grpc.NewServer(grpc.Creds(credentials.NewTLS(ca.serverTLS(spiffeID("reviews")))))
	h := health.NewServer()
	h.SetServingStatus("", says)
	grpc_health_v1.RegisterHealthServer(g, h)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	t.Cleanup(func() { g.Stop(); <-served })
	return l.Addr().String()
}

// bootstrap is what an application of role grpc is started with.
func (c *controller) bootstrap(node string, cert tls.Certificate) []byte {
	c.t.Helper()
	certFile, keyFile, rootFile := c.ca.files(cert)
	files := map[string]string{"certificate_file": certFile, "private_key_file": keyFile, "ca_certificate_file": rootFile}
	b, err := json.Marshal(map[string]any{
		"node": map[string]string{"id": node},
		"xds_servers": []any{map[string]any{
			"server_uri":      c.addr,
			"channel_creds":   []any{map[string]any{"type": "tls", "config": files}},
			"server_features": []string{"xds_v3"},
		}},
		"certificate_providers": map[string]any{"default": map[string]any{"plugin_name": "file_watcher", "config": files}},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return b
}

type caller struct {
	t *testing.T
	grpc_health_v1.HealthClient
}

func (c *controller) caller(t *testing.T, boot []byte, target string) *caller {
	t.Helper()
	resolver, err := grpcxds.NewXDSResolverWithConfigForTesting(boot)
	if err != nil {
		t.Fatal(err)
	}
	creds, err := xdscreds.NewClientCredentials(xdscreds.ClientOptions{FallbackCreds: insecure.NewCredentials()})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(creds), grpc.WithResolvers(resolver))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &caller{t, grpc_health_v1.NewHealthClient(conn)}
}

// version makes one RPC, which has to succeed, and says who answered.
func (c *caller) version(headers ...string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(c.t.Context(), headers...), patience)
	defer cancel()
	r, err := c.Check(ctx, &grpc_health_v1.HealthCheckRequest{}, grpc.WaitForReady(true))
	if err != nil {
		c.t.Fatal(err)
	}
	if r.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING {
		return "v1"
	}
	return "v2"
}

// TestGRPCGoReadsTheMesh drives grpc-go's own xDS client: an independent
// reader of what is served.
func TestGRPCGoReadsTheMesh(t *testing.T) {
	c := startController(t, Options{})
	v1 := startReviews(t, c.ca, grpc_health_v1.HealthCheckResponse_SERVING)
	v2 := startReviews(t, c.ca, grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	c.set("c1", grpcShop(v1, v2, model.Split{Version: "v1", BasisPoints: 9000}, model.Split{Version: "v2", BasisPoints: 1000}))

	app := c.caller(t, c.bootstrap(grpcNode, c.ca.issue(spiffeID("client"))), "xds:///reviews.default.svc.cluster.local:9080")
	for range 50 {
		if got := app.version("end-user", "jason"); got != "v2" {
			t.Fatalf("jason reaches %s", got)
		}
	}
	const calls = 2000
	hits := 0
	for range calls {
		if app.version() == "v2" {
			hits++
		}
	}
	if sigma := math.Sqrt(calls * 0.1 * 0.9); math.Abs(float64(hits)-calls*0.1) > 5*sigma {
		t.Errorf("v2 got %d of %d calls, want a tenth", hits, calls)
	}
	c.awaitProgrammed("c1", 1)
	acceptedAll(t, c.node(grpcNode))

	c.set("c2", grpcShop(v1, v2, model.Split{Version: "v2", BasisPoints: model.BasisPointsWhole}))
	c.awaitProgrammed("c2", 1)
	deadline, row := time.Now().Add(patience), 0
	for row < 200 {
		if row++; app.version() != "v2" {
			row = 0
		}
		if time.Now().After(deadline) {
			t.Fatal("RPCs do not follow the new split")
		}
	}
	if got := app.version("end-user", "jason"); got != "v2" {
		t.Errorf("jason reaches %s", got)
	}
	acceptedAll(t, c.node(grpcNode))
	if n, m := c.Programmed("c2"); n != 1 || m != 1 {
		t.Errorf("programmed %d/%d, want 1/1: other applications have not connected", n, m)
	}
}

// acceptedAll: each type was asked for, answered and confirmed, and nothing
// was ever refused.
func acceptedAll(t *testing.T, n NodeStatus) {
	t.Helper()
	if len(n.Streams) != 1 {
		t.Fatalf("%d streams", len(n.Streams))
	}
	acked := map[Type]bool{}
	for _, s := range n.Streams[0].Types {
		if s.Nacked != nil {
			t.Errorf("%s was refused: %+v", s.Type, s.Nacked)
		}
		acked[s.Type] = s.Acked != nil && s.InFlight == nil && s.Held > 0
	}
	for _, want := range []Type{LDS, RDS, CDS, EDS} {
		if !acked[want] {
			t.Errorf("%s is not confirmed", want)
		}
	}
}

// TestGRPCGoGetsNothingOfOthers: what the client does not use does not exist.
func TestGRPCGoGetsNothingOfOthers(t *testing.T) {
	c := startController(t, Options{})
	c.set("c1", grpcShop("127.0.0.1:3", "127.0.0.1:4", model.Split{Version: "v1", BasisPoints: model.BasisPointsWhole}))
	app := c.caller(t, c.bootstrap(grpcNode, c.ca.issue(spiffeID("client"))), "xds:///vault.default.svc.cluster.local:9080")
	ctx, cancel := context.WithCancel(t.Context())
	called := make(chan error, 1)
	go func() {
		_, err := app.Check(ctx, &grpc_health_v1.HealthCheckRequest{}, grpc.WaitForReady(true))
		called <- err
	}()
	c.await("an answer that there is no such listener", func() bool {
		for _, s := range c.node(grpcNode).Streams {
			for _, typ := range s.Types {
				if typ.Type == LDS && typ.Acked != nil && typ.Held == 0 {
					return true
				}
			}
		}
		return false
	})
	cancel()
	if err := <-called; err == nil {
		t.Error("the call succeeds")
	}
}
