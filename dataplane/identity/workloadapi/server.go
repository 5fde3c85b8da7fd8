// Package workloadapi serves a workload's identity to the application beside the proxy,
// by the SPIFFE Workload API on a unix socket: X.509-SVIDs with their key, JWT-SVIDs, the
// bundles to verify others by, and each change of these as it happens. Whoever can open
// the socket is the workload.
package workloadapi

import (
	"context"
	"encoding/pem"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshc/meshc/dataplane/identity"
)

// Server is the Workload API of one identity.
type Server struct {
	workload.UnimplementedSpiffeWorkloadAPIServer
	source *identity.Source
}

// Serve serves source on l until ctx ends, and closes l.
func Serve(ctx context.Context, l net.Listener, source *identity.Source, log *slog.Logger) error {
	srv := grpc.NewServer(
		grpc.MaxRecvMsgSize(64<<10),
		grpc.MaxConcurrentStreams(100),
		grpc.WaitForHandlers(true),
		grpc.ConnectionTimeout(10*time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			if err := checkHeader(ctx); err != nil {
				return nil, err
			}
			return next(ctx, req)
		}),
		grpc.StreamInterceptor(func(s any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			if err := checkHeader(stream.Context()); err != nil {
				return err
			}
			return next(s, stream)
		}),
	)
	workload.RegisterSpiffeWorkloadAPIServer(srv, &Server{source: source})
	log.Info("SPIFFE Workload API", "address", l.Addr().String())
	defer context.AfterFunc(ctx, srv.Stop)()
	err := srv.Serve(l)
	if ctx.Err() != nil || errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return err
}

// securityHeader is what a client sends that means to talk to the Workload API: a
// request that somebody else has forged by way of it lacks it (SPIFFE Workload Endpoint,
// section 3).
const securityHeader = "workload.spiffe.io"

func checkHeader(ctx context.Context) error {
	if v := metadata.ValueFromIncomingContext(ctx, securityHeader); len(v) != 1 || v[0] != "true" {
		return status.Errorf(codes.InvalidArgument, "the security header %s: true is missing", securityHeader)
	}
	return nil
}

// errNone is the answer while there is no identity; clients ask again.
var errNone = status.Error(codes.Unavailable, "this workload has no valid identity at the moment")

// FetchX509SVID sends the certificate with its key, now and when it or what others are
// verified by has changed.
func (s *Server) FetchX509SVID(_ *workload.X509SVIDRequest, stream grpc.ServerStreamingServer[workload.X509SVIDResponse]) error {
	return follow(s, stream, func() (*workload.X509SVIDResponse, error) {
		cur := s.source.Current()
		if cur == nil {
			return nil, errNone
		}
		svid, err := svidOf(cur)
		if err != nil {
			return nil, status.Error(codes.Internal, "the certificate cannot be given")
		}
		federated := s.source.Bundles().Roots
		delete(federated, cur.TrustDomainID())
		return &workload.X509SVIDResponse{Svids: []*workload.X509SVID{svid}, FederatedBundles: federated}, nil
	})
}

// FetchX509Bundles sends the roots of the own trust domain and of those that it
// federates with, now and when they have changed.
func (s *Server) FetchX509Bundles(_ *workload.X509BundlesRequest, stream grpc.ServerStreamingServer[workload.X509BundlesResponse]) error {
	return follow(s, stream, func() (*workload.X509BundlesResponse, error) {
		roots := s.source.Bundles().Roots
		if len(roots) == 0 {
			return nil, errNone
		}
		return &workload.X509BundlesResponse{Bundles: roots}, nil
	})
}

// FetchJWTBundles is FetchX509Bundles for the keys of tokens.
func (s *Server) FetchJWTBundles(_ *workload.JWTBundlesRequest, stream grpc.ServerStreamingServer[workload.JWTBundlesResponse]) error {
	return follow(s, stream, func() (*workload.JWTBundlesResponse, error) {
		keys := s.source.Bundles().Keys
		if len(keys) == 0 {
			return nil, status.Error(codes.Unavailable, "the authority has told of no keys of tokens yet")
		}
		return &workload.JWTBundlesResponse{Bundles: keys}, nil
	})
}

// FetchJWTSVID gives a token for an audience.
func (s *Server) FetchJWTSVID(ctx context.Context, req *workload.JWTSVIDRequest) (*workload.JWTSVIDResponse, error) {
	if len(req.GetAudience()) == 0 {
		return nil, status.Error(codes.InvalidArgument, "a token is for somebody: the audience is missing")
	}
	cur := s.source.Current()
	if cur == nil {
		return nil, errNone
	}
	if want := req.GetSpiffeId(); want != "" && want != cur.SPIFFEID {
		return nil, status.Errorf(codes.PermissionDenied, "this workload is %q and no other", cur.SPIFFEID)
	}
	token, err := s.source.JWT(ctx, req.GetAudience())
	if err != nil {
		return nil, ofAuthority(err)
	}
	return &workload.JWTSVIDResponse{Svids: []*workload.JWTSVID{{SpiffeId: cur.SPIFFEID, Svid: token}}}, nil
}

// ofAuthority passes on what the authority says of the request. What it says of the
// proxy, or that it is away, means that the application should ask again.
func ofAuthority(err error) error {
	switch code := status.Code(err); code {
	case codes.InvalidArgument, codes.PermissionDenied, codes.ResourceExhausted, codes.FailedPrecondition, codes.Canceled, codes.DeadlineExceeded:
		return status.Error(code, err.Error())
	}
	return status.Error(codes.Unavailable, err.Error())
}

// ValidateJWTSVID verifies a token that is for an audience, and tells what it says.
func (s *Server) ValidateJWTSVID(_ context.Context, req *workload.ValidateJWTSVIDRequest) (*workload.ValidateJWTSVIDResponse, error) {
	switch {
	case req.GetAudience() == "":
		return nil, status.Error(codes.InvalidArgument, "the audience is missing")
	case req.GetSvid() == "":
		return nil, status.Error(codes.InvalidArgument, "the token is missing")
	}
	svid, err := s.source.ValidateJWT(req.GetSvid(), []string{req.GetAudience()})
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	claims, err := structpb.NewStruct(svid.Claims)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, "the token has claims that are not JSON values")
	}
	return &workload.ValidateJWTSVIDResponse{SpiffeId: svid.ID.String(), Claims: claims}, nil
}

// follow sends what render gives, now and whenever it is something else, until the
// stream ends or render fails. A certificate that ends is noticed too.
func follow[T any, M interface {
	*T
	proto.Message
}](s *Server, stream grpc.ServerStreamingServer[T], render func() (M, error)) error {
	ctx := stream.Context()
	changed := s.source.Watch(ctx)
	ended := time.NewTicker(endCheck)
	defer ended.Stop()
	var sent M
	for {
		next, err := render()
		if err != nil {
			return err
		}
		if sent == nil || !proto.Equal(next, sent) {
			if err := stream.Send((*T)(next)); err != nil {
				return err
			}
			sent = next
		}
		select {
		case _, open := <-changed:
			if !open {
				return status.FromContextError(ctx.Err()).Err()
			}
		case <-ended.C:
		}
	}
}

// endCheck is the time between two looks at whether the certificate has ended.
const endCheck = 5 * time.Second

func svidOf(cur *identity.Identity) (*workload.X509SVID, error) {
	text, err := cur.PrivateKeyPEM()
	if err != nil {
		return nil, err
	}
	key, _ := pem.Decode(text)
	if key == nil {
		return nil, errors.New("the key is not PEM")
	}
	var chain []byte
	for _, der := range cur.Certificate.Certificate {
		chain = append(chain, der...)
	}
	return &workload.X509SVID{SpiffeId: cur.SPIFFEID, X509Svid: chain, X509SvidKey: key.Bytes, Bundle: cur.BundleDER()}, nil
}
