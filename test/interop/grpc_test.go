package interop

import (
	"context"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/orca"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/meshc/meshc/compiler/model"
)

// Calls pass both data planes, as client's proxy and as server's, with mutual
// TLS between them, and both answer for themselves in the same terms.
func TestGRPCSideBySide(t *testing.T) {
	b := newBed(t, compileFS(t, os.DirFS("testdata/calls")))
	versions := map[kind]string{kinds[0]: "v1", kinds[1]: "v2"}
	for _, k := range kinds {
		for _, service := range []string{"calls", "closed"} {
			b.sidecar(ref(service), versions[k], k, serveCalls(t))
		}
		b.sidecar(ref("caller"), "v1", k, "")
		b.gateway(ref("edge"), k)
	}
	b.run()
	for _, client := range kinds {
		places := b.placed["caller-"+string(client)].Outbound
		calls := dialCalls(t, places[model.OutboundKey(ref("calls"), meshPort)])
		closed := dialCalls(t, places[model.OutboundKey(ref("closed"), meshPort)])
		for _, server := range kinds {
			t.Run(fmt.Sprintf("%s to %s", client, server), func(t *testing.T) {
				allCalls(t, calls, versions[server])
				_, err := testgrpc.NewTestServiceClient(closed).EmptyCall(to(t, versions[server]), &testgrpcEmpty{})
				if s := grpcstatus.Convert(err); s.Code() != codes.PermissionDenied || s.Message() != "RBAC: access denied" {
					t.Errorf("a caller that is not let in: %v", err)
				}
			})
		}
		t.Run(string(client)+" to nobody", func(t *testing.T) {
			_, err := testgrpc.NewTestServiceClient(calls).EmptyCall(to(t, "gone"), &testgrpcEmpty{})
			if s := grpcstatus.Convert(err); s.Code() != codes.Unavailable || s.Message() != "no healthy upstream" {
				t.Errorf("got %v", err)
			}
		})
		t.Run(string(client)+" as gateway", func(t *testing.T) {
			allCalls(t, dialCalls(t, b.placed["edge-"+string(client)].Inbound[8080]), "v1")
		})
	}
	for _, x := range b.all() {
		x.refusedNothing()
	}
}

func serveCalls(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	loads := orca.NewServerMetricsRecorder()
	s := grpc.NewServer(orca.CallMetricsServerOption(nil))
	testgrpc.RegisterTestServiceServer(s, interop.NewTestServer(interop.NewTestServerOptions{MetricsRecorder: loads}))
	if err := orca.Register(s, orca.ServiceOptions{ServerMetricsProvider: loads, MinReportingInterval: 30 * time.Second}); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	return l.Addr().String()
}

const passthrough = "passthrough:///"

func dialCalls(t *testing.T, addr string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	c, err := grpc.NewClient(passthrough+addr, append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// to is a context that leads to a version.
func to(t *testing.T, version string) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return metadata.AppendToOutgoingContext(ctx, "x-to", version)
}

// allCalls are the cases of gRPC's interoperability suite that need no
// credentials of a cloud, but for orca_oob: its reports come once in 30 s, as long
// as it waits, from a server that is not the suite's own program. A case that fails ends the process, with the reason.
func allCalls(t *testing.T, conn *grpc.ClientConn, version string) {
	c := testgrpc.NewTestServiceClient(conn)
	for _, do := range []func(){
		func() { interop.DoEmptyUnaryCall(to(t, version), c) },
		func() { interop.DoLargeUnaryCall(to(t, version), c) },
		func() { interop.DoClientStreaming(to(t, version), c) },
		func() { interop.DoServerStreaming(to(t, version), c) },
		func() { interop.DoPingPong(to(t, version), c) },
		func() { interop.DoEmptyStream(to(t, version), c) },
		func() { interop.DoTimeoutOnSleepingServer(to(t, version), c) },
		func() { interop.DoCancelAfterBegin(to(t, version), c) },
		func() { interop.DoCancelAfterFirstResponse(to(t, version), c) },
		func() { interop.DoStatusCodeAndMessage(to(t, version), c) },
		func() { interop.DoSpecialStatusMessage(to(t, version), c) },
		func() { interop.DoUnimplementedMethod(to(t, version), conn) },
		func() { interop.DoUnimplementedService(to(t, version), testgrpc.NewUnimplementedServiceClient(conn)) },
		func() { interop.DoCustomMetadata(to(t, version), c) },
		func() { interop.DoSoakTest(to(t, version), soakCalls(conn, nil)) },
		func() {
			interop.DoSoakTest(to(t, version), soakCalls(nil, func() *grpc.ClientConn { return dialCalls(t, conn.Target()[len(passthrough):]) }))
		},
		func() {
			loads := dialCalls(t, conn.Target()[len(passthrough):], grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"test_backend_metrics_load_balancer":{}}]}`))
			interop.DoORCAPerRPCTest(to(t, version), testgrpc.NewTestServiceClient(loads))
		},
	} {
		do()
	}
}

// soakCalls is the case rpc_soak on one connection, or channel_soak on another
// each time.
func soakCalls(conn *grpc.ClientConn, another func() *grpc.ClientConn) interop.SoakTestConfig {
	channel := func() (*grpc.ClientConn, func()) { return conn, func() {} }
	if another != nil {
		channel = func() (*grpc.ClientConn, func()) {
			c := another()
			return c, func() { c.Close() }
		}
	}
	return interop.SoakTestConfig{
		RequestSize: 271828, ResponseSize: 314159, PerIterationMaxAcceptableLatency: patience, OverallTimeout: patience, NumWorkers: 1, Iterations: 10,
		ChannelForTest: channel,
	}
}

type testgrpcEmpty = testgrpc.Empty
