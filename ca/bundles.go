package ca

import (
	"time"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

// ServerOptions are those of a gRPC server that serves Register: the authority's own
// certificate, bounds on what a stranger can hold, and pings that find out which
// watchers of the bundle are gone.
func (a *Authority) ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.Creds(credentials.NewTLS(a.ServerTLS())),
		grpc.MaxRecvMsgSize(64 << 10),
		grpc.MaxConcurrentStreams(16),
		grpc.ConnectionTimeout(10 * time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	}
}

// bundles serves the trust bundle to those who have an identity already, by the method
// of the SPIFFE Workload API that is for it, and its changes as they happen: nobody has
// to renew a certificate to learn of the next root.
type bundles struct {
	workload.UnimplementedSpiffeWorkloadAPIServer
	a *Authority
}

// FetchX509Bundles sends the roots, the one that signs first, now and when they
// change.
func (b *bundles) FetchX509Bundles(_ *workload.X509BundlesRequest, stream grpc.ServerStreamingServer[workload.X509BundlesResponse]) error {
	if _, err := b.a.Peer(stream.Context()); err != nil {
		return status.Error(codes.Unauthenticated, err.Error())
	}
	changed := b.a.WatchBundle(stream.Context())
	for {
		var der []byte
		for _, c := range b.a.Bundle().Roots {
			der = append(der, c.Raw...)
		}
		if err := stream.Send(&workload.X509BundlesResponse{Bundles: map[string][]byte{b.a.td.IDString(): der}}); err != nil {
			return err
		}
		if _, open := <-changed; !open {
			return status.FromContextError(stream.Context().Err()).Err()
		}
	}
}
