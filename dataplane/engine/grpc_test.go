package engine

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	testgrpc "google.golang.org/grpc/interop/grpc_testing"

	"github.com/meshc/meshc/dataplane/route"
	"github.com/meshc/meshc/dataplane/snapshot"
)

// grpcBackend runs the server of gRPC's interoperability tests.
func grpcBackend(t *testing.T, opts ...grpc.ServerOption) string {
	return grpcServe(t, interop.NewTestServer(), opts...)
}

func grpcServe(t *testing.T, impl testgrpc.TestServiceServer, opts ...grpc.ServerOption) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(opts...)
	testgrpc.RegisterTestServiceServer(s, impl)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	return l.Addr().String()
}

func grpcDial(t *testing.T, addr string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	c, err := grpc.NewClient("passthrough:///"+addr, append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// grpcMesh goes over HTTP/2 on both sides, without a timeout of the route.
func grpcMesh(endpoints ...string) *mesh {
	m := newMesh(endpoints...)
	m.cluster().Protocol = snapshot.UpstreamHTTP2
	return m
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// The cases of gRPC's own interoperability suite that need no credentials of a
// cloud. A case that fails ends the process, with the reason on stderr.
func TestGRPCInterop(t *testing.T) {
	e := start(t, grpcMesh(grpcBackend(t)))
	conn := grpcDial(t, addrOf(t, e, "in"))
	tc := testgrpc.NewTestServiceClient(conn)
	unknown := testgrpc.NewUnimplementedServiceClient(conn)
	for name, do := range map[string]func(context.Context){
		"empty_unary":                 func(ctx context.Context) { interop.DoEmptyUnaryCall(ctx, tc) },
		"large_unary":                 func(ctx context.Context) { interop.DoLargeUnaryCall(ctx, tc) },
		"client_streaming":            func(ctx context.Context) { interop.DoClientStreaming(ctx, tc) },
		"server_streaming":            func(ctx context.Context) { interop.DoServerStreaming(ctx, tc) },
		"ping_pong":                   func(ctx context.Context) { interop.DoPingPong(ctx, tc) },
		"empty_stream":                func(ctx context.Context) { interop.DoEmptyStream(ctx, tc) },
		"timeout_on_sleeping_server":  func(ctx context.Context) { interop.DoTimeoutOnSleepingServer(ctx, tc) },
		"cancel_after_begin":          func(ctx context.Context) { interop.DoCancelAfterBegin(ctx, tc) },
		"cancel_after_first_response": func(ctx context.Context) { interop.DoCancelAfterFirstResponse(ctx, tc) },
		"custom_metadata":             func(ctx context.Context) { interop.DoCustomMetadata(ctx, tc) },
		"status_code_and_message":     func(ctx context.Context) { interop.DoStatusCodeAndMessage(ctx, tc) },
		"special_status_message":      func(ctx context.Context) { interop.DoSpecialStatusMessage(ctx, tc) },
		"unimplemented_method":        func(ctx context.Context) { interop.DoUnimplementedMethod(ctx, conn) },
		"unimplemented_service":       func(ctx context.Context) { interop.DoUnimplementedService(ctx, unknown) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			do(within(t))
		})
	}
}

// Answers of the proxy's own come as gRPC statuses.
func TestLocalRepliesInTermsOfGRPC(t *testing.T) {
	closed := rawBackend(t, func(c net.Conn) {})
	for name, c := range map[string]struct {
		set  func(*mesh)
		code codes.Code
		text string
	}{
		"no route":    {func(m *mesh) { m.chain.HTTP.Routes = tableOf(nil) }, codes.Unimplemented, ""},
		"no endpoint": {func(m *mesh) { m.cluster().Endpoints = nil }, codes.Unavailable, "no healthy upstream"},
		"direct 403":  {func(m *mesh) { m.entry.Direct = route.DirectResponse{Status: 403, Body: "no % ü"} }, codes.PermissionDenied, "no % ü"},
		"direct 418":  {func(m *mesh) { m.entry.Direct = route.DirectResponse{Status: 418} }, codes.Unknown, ""},
		"upstream that closes": {func(m *mesh) {}, codes.Unavailable,
			"upstream connect error or disconnect/reset before headers. reset reason: connection termination"},
	} {
		t.Run(name, func(t *testing.T) {
			m := grpcMesh(closed)
			c.set(m)
			e := start(t, m)
			_, err := testgrpc.NewTestServiceClient(grpcDial(t, addrOf(t, e, "in"))).EmptyCall(within(t), &testgrpc.Empty{})
			if s := status.Convert(err); s.Code() != c.code || s.Message() != c.text {
				t.Errorf("%v, want %v %q", err, c.code, c.text)
			}
		})
	}
}

// The route's bound on grpc-timeout holds even for a client that does not keep
// its own deadline.
func TestGRPCTimeoutIsHeeded(t *testing.T) {
	for name, c := range map[string]struct {
		says string
		most time.Duration
	}{
		"within the bound": {"50m", time.Hour},
		"beyond it":        {"1H", 50 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			m := grpcMesh(grpcBackend(t))
			m.chain.HTTP.Codec = snapshot.CodecAuto
			m.entry.MaxDuration = &route.Duration{HeedGRPC: true, GRPCMax: c.most}
			e := start(t, m)
			p := dialPeer(t, addrOf(t, e, "in"), 1<<20)
			p.must(t, p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true, BlockFragment: p.block(
				":method", "POST", ":scheme", "http", ":path", "/grpc.testing.TestService/FullDuplexCall", ":authority", "a",
				"content-type", "application/grpc", "te", "trailers", "grpc-timeout", c.says)}))
			if got := statusOfGRPC(t, p); got != codes.DeadlineExceeded {
				t.Errorf("the stream ends with %v", got)
			}
			eventually(t, "the upstream stream has ended", func() bool {
				return metric(t, e, "envoy_cluster_upstream_rq_active") == 0 && metric(t, e, "envoy_http_downstream_rq_active") == 0
			})
		})
	}
}

// statusOfGRPC is the status that stream 1 ends with.
func statusOfGRPC(t *testing.T, p *peer) codes.Code {
	t.Helper()
	p.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		f, err := p.fr.ReadFrame()
		p.must(t, err)
		head, ok := f.(*http2.MetaHeadersFrame)
		if !ok || !head.StreamEnded() {
			continue
		}
		for _, field := range head.Fields {
			if field.Name == "grpc-status" {
				n, err := strconv.ParseUint(field.Value, 10, 32)
				p.must(t, err)
				return codes.Code(n)
			}
		}
		t.Fatalf("no grpc-status in %v", head.Fields)
	}
}

// failing fails the first calls with a status and no message.
type failing struct {
	testgrpc.UnimplementedTestServiceServer
	code  codes.Code
	fails chan struct{}
}

func (f *failing) UnaryCall(_ context.Context, in *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
	select {
	case <-f.fails:
		return nil, status.Error(f.code, "not now")
	default:
		return &testgrpc.SimpleResponse{Payload: in.Payload}, nil
	}
}

func TestRetriesOnGRPCStatuses(t *testing.T) {
	for code, on := range map[codes.Code]route.RetryOn{
		codes.Canceled: route.RetryGRPCCancelled, codes.DeadlineExceeded: route.RetryGRPCDeadlineExceeded, codes.Internal: route.RetryGRPCInternal,
		codes.ResourceExhausted: route.RetryGRPCResourceExhausted, codes.Unavailable: route.RetryGRPCUnavailable,
	} {
		for _, asked := range []bool{true, false} {
			t.Run(fmt.Sprint(code, asked), func(t *testing.T) {
				f := &failing{code: code, fails: make(chan struct{}, 2)}
				f.fails <- struct{}{}
				f.fails <- struct{}{}
				m := grpcMesh(grpcServe(t, f))
				m.entry.Retry = &route.Retry{On: on, Attempts: 2, BackoffBase: time.Millisecond, BackoffMax: time.Millisecond}
				if !asked {
					m.entry.Retry.On = route.RetryGRPC &^ on
				}
				e := start(t, m)
				body := []byte("hello")
				got, err := testgrpc.NewTestServiceClient(grpcDial(t, addrOf(t, e, "in"))).UnaryCall(within(t), &testgrpc.SimpleRequest{Payload: &testgrpc.Payload{Body: body}})
				if !asked {
					if status.Code(err) != code {
						t.Errorf("got %v, want %v", err, code)
					}
					return
				}
				if err != nil || string(got.GetPayload().GetBody()) != "hello" {
					t.Errorf("%v, %v", got, err)
				}
			})
		}
	}
}

// firehose sends for as long as the client's flow control lets it.
type firehose struct {
	testgrpc.UnimplementedTestServiceServer
	sent chan int
}

func (f *firehose) StreamingOutputCall(_ *testgrpc.StreamingOutputCallRequest, s testgrpc.TestService_StreamingOutputCallServer) error {
	payload := &testgrpc.Payload{Body: make([]byte, 64<<10)}
	for n := 0; n < 1<<15; n++ {
		if err := s.Send(&testgrpc.StreamingOutputCallResponse{Payload: payload}); err != nil {
			return err
		}
		select {
		case f.sent <- len(payload.Body):
		case <-s.Context().Done():
			return s.Context().Err()
		}
	}
	return nil
}

// A client that does not read must stop the server through both connections,
// and must not stop the other streams on them.
func TestSlowGRPCReaderHoldsOnlyItselfBack(t *testing.T) {
	f := &firehose{sent: make(chan int, 1<<20)}
	m := grpcMesh(grpcServe(t, f))
	e := start(t, m, func(o *Options) { o.Workers = 1 })
	tc := testgrpc.NewTestServiceClient(grpcDial(t, addrOf(t, e, "in"), grpc.WithInitialWindowSize(1<<16), grpc.WithInitialConnWindowSize(1<<30)))
	var streams []testgrpc.TestService_StreamingOutputCallClient
	for range 20 {
		s, err := tc.StreamingOutputCall(within(t), &testgrpc.StreamingOutputCallRequest{})
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, s)
	}
	total, still := 0, 0
	for still < 20 { // 20 × 20 ms without a byte: everything is full
		select {
		case n := <-f.sent:
			total, still = total+n, 0
		case <-time.After(20 * time.Millisecond):
			still++
		}
	}
	// The proxy cannot hold what was never sent: 64 KiB for each stream here, as
	// much in the client, and what sockets take.
	if total > 16<<20 {
		t.Errorf("servers could send %d MiB to clients that read nothing", total>>20)
	}
	// One of them reads on, past the others.
	for range 200 {
		if _, err := streams[7].Recv(); err != nil {
			t.Fatal(err)
		}
	}
}

// Messages far larger than any buffer pass both ways at once.
func TestBigGRPCMessages(t *testing.T) {
	const size = 24 << 20
	limits := []grpc.DialOption{grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(size+1024), grpc.MaxCallSendMsgSize(size+1024))}
	e := start(t, grpcMesh(grpcBackend(t, grpc.MaxRecvMsgSize(size+1024), grpc.MaxSendMsgSize(size+1024))))
	tc := testgrpc.NewTestServiceClient(grpcDial(t, addrOf(t, e, "in"), limits...))
	got, err := tc.UnaryCall(within(t), &testgrpc.SimpleRequest{ResponseSize: size, Payload: &testgrpc.Payload{Body: make([]byte, size)}})
	if err != nil || len(got.GetPayload().GetBody()) != size {
		t.Errorf("%d bytes, %v", len(got.GetPayload().GetBody()), err)
	}
}

// Calls that run while the server goes away politely are not lost, though they
// are no idempotent requests and no retry is configured.
func TestServersGoAwayWithoutLoss(t *testing.T) {
	var servers []*grpc.Server
	var addrs []string
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := grpc.NewServer()
		testgrpc.RegisterTestServiceServer(s, interop.NewTestServer())
		go s.Serve(l)
		t.Cleanup(s.Stop)
		servers, addrs = append(servers, s), append(addrs, l.Addr().String())
	}
	m := grpcMesh(addrs[0])
	e := start(t, m)
	tc := testgrpc.NewTestServiceClient(grpcDial(t, addrOf(t, e, "in")))
	stop, failed := make(chan struct{}), make(chan error, 8)
	for range 8 {
		go func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					failed <- nil
					return
				default:
				}
				if _, err := tc.UnaryCall(context.Background(), &testgrpc.SimpleRequest{ResponseSize: 10, Payload: &testgrpc.Payload{Body: make([]byte, 500)}}); err != nil {
					failed <- fmt.Errorf("call %d: %w", n, err)
					return
				}
			}
		}()
	}
	eventually(t, "calls are under way", func() bool { return metric(t, e, "envoy_cluster_upstream_rq_total") > 500 })
	next := grpcMesh(addrs[1])
	next.config.Listeners["in"].Addr = m.config.Listeners["in"].Addr
	if err := e.Apply(next.config); err != nil {
		t.Fatal(err)
	}
	servers[0].GracefulStop()
	before := metric(t, e, "envoy_cluster_upstream_rq_total")
	eventually(t, "calls go on", func() bool { return metric(t, e, "envoy_cluster_upstream_rq_total") > before+500 })
	close(stop)
	for range 8 {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
}

// The last message of a half-closed stream and its trailers arrive in order.
func TestBidirectionalStreamOutlivesItsRequest(t *testing.T) {
	e := start(t, grpcMesh(grpcBackend(t)))
	tc := testgrpc.NewTestServiceClient(grpcDial(t, addrOf(t, e, "in")))
	s, err := tc.FullDuplexCall(metadata.AppendToOutgoingContext(within(t), "x-grpc-test-echo-trailing-bin", "\x00\x01\xff"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		req := &testgrpc.StreamingOutputCallRequest{ResponseParameters: []*testgrpc.ResponseParameters{{Size: int32(i * 10)}, {Size: 1}}}
		if err := s.Send(req); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.CloseSend(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; ; n++ {
		if _, err := s.Recv(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Trailer().Get("x-grpc-test-echo-trailing-bin"); n != 200 || len(got) != 1 || got[0] != "\x00\x01\xff" {
		t.Errorf("%d messages, trailer %q", n, got)
	}
}
