package ca

import (
	"context"
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

// delivery serves, to those who have an identity already, what is not a certificate, by
// the methods of the SPIFFE Workload API that are for it: the trust bundle and its
// changes as they happen, so that nobody has to renew a certificate to learn of the next
// root, and JWT-SVIDs.
type delivery struct {
	workload.UnimplementedSpiffeWorkloadAPIServer
	a *Authority
}

// FetchX509Bundles sends the roots, the one that signs first, and those of other trust
// domains, now and when they change.
func (d *delivery) FetchX509Bundles(_ *workload.X509BundlesRequest, stream grpc.ServerStreamingServer[workload.X509BundlesResponse]) error {
	return d.follow(stream.Context(), func() error {
		return stream.Send(&workload.X509BundlesResponse{Bundles: d.a.roots.RootsByDomain()})
	})
}

// FetchJWTBundles sends the keys of JWT-SVIDs as JWK sets, with the sequence numbers of
// the trust bundles that they are of, now and when it changes.
func (d *delivery) FetchJWTBundles(_ *workload.JWTBundlesRequest, stream grpc.ServerStreamingServer[workload.JWTBundlesResponse]) error {
	return d.follow(stream.Context(), func() error {
		keys, err := d.a.roots.KeysByDomain()
		if err != nil {
			return status.Error(codes.Internal, "the keys could not be written")
		}
		return stream.Send(&workload.JWTBundlesResponse{Bundles: keys})
	})
}

// follow sends now and after each change of the trust bundle, until ctx ends.
func (d *delivery) follow(ctx context.Context, send func() error) error {
	if _, err := d.a.Peer(ctx); err != nil {
		return status.Error(codes.Unauthenticated, err.Error())
	}
	changed := d.a.WatchBundle(ctx)
	for {
		if err := send(); err != nil {
			return err
		}
		if _, open := <-changed; !open {
			return status.FromContextError(ctx.Err()).Err()
		}
	}
}
