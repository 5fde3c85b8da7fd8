package interop

import (
	"context"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	"github.com/meshc/meshc/compiler/model"
)

// clinic is an application that says of itself how it is, and by a header of
// its answers who it is.
type clinic struct {
	*health.Server
	name string
}

func (c clinic) Check(ctx context.Context, r *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	if err := grpc.SetHeader(ctx, metadata.Pairs("x-served", c.name)); err != nil {
		return nil, err
	}
	return c.Server.Check(ctx, r)
}

func serveClinic(t *testing.T, name string) (clinic, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, s := clinic{health.NewServer(), name}, grpc.NewServer()
	healthpb.RegisterHealthServer(s, c)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	return c, l.Addr().String()
}

// Both data planes ask endpoints by gRPC, and lead calls to those that serve.
func TestHealthByGRPC(t *testing.T) {
	b := newBed(t, compileFS(t, os.DirFS("testdata/clinic")))
	one, at := serveClinic(t, "one")
	b.application(ref("clinic"), "v1", "one", at)
	two, at := serveClinic(t, "two")
	b.application(ref("clinic"), "v1", "two", at)
	for _, c := range []clinic{one, two} {
		c.SetServingStatus("shop.Cart", healthpb.HealthCheckResponse_SERVING)
	}
	for _, k := range kinds {
		b.sidecar(ref("web"), "v1", k, "")
	}
	b.run()
	for _, k := range kinds {
		client := healthpb.NewHealthClient(dialCalls(t, b.placed["web-"+string(k)].Outbound[model.OutboundKey(ref("clinic"), meshPort)]))
		served := func() []string {
			var out []string
			for range 6 {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				var head metadata.MD
				if _, err := client.Check(ctx, &healthpb.HealthCheckRequest{}, grpc.Header(&head)); err != nil {
					out = append(out, "nobody")
				}
				out = append(out, head.Get("x-served")...)
				cancel()
			}
			slices.Sort(out)
			return slices.Compact(out)
		}
		by := func(what string, want ...string) {
			t.Helper()
			eventually(t, string(k)+": "+what, func() bool { return slices.Equal(served(), want) })
		}
		by("both are well", "one", "two")
		two.SetServingStatus("shop.Cart", healthpb.HealthCheckResponse_NOT_SERVING)
		by("one is unwell", "one")
		two.SetServingStatus("shop.Cart", healthpb.HealthCheckResponse_SERVING)
		by("both are well again", "one", "two")
	}
	for _, x := range b.all() {
		x.refusedNothing()
	}
}
