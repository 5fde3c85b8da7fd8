package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

// Pauses between attempts to follow the bundle: of an authority that is away, and of
// one that does not tell.
const (
	followPause = 2 * time.Second
	quietPause  = time.Minute
)

// spread is how long after a change of roots the workloads of a mesh renew, each at a
// moment of its own.
const spread = 5 * time.Second

// follow keeps the trust bundle as the authority has it, until ctx ends: the next root
// is known before anything is signed by it.
func (s *Source) follow(ctx context.Context) {
	for {
		if _, err := s.Wait(ctx); err != nil {
			return
		}
		err := s.followOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		pause := followPause
		if code := status.Code(err); code == codes.Unimplemented || code == codes.Unauthenticated {
			pause = quietPause
		}
		s.cfg.Log.Debug("the trust bundle is not followed", "retryIn", pause, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause/2 + rand.N(pause)):
		}
	}
}

func (s *Source) followOnce(ctx context.Context) error {
	cur := s.Current()
	if cur == nil {
		return errors.New("the identity has expired")
	}
	tlsConfig, err := clientTLS(&s.cfg, cur)
	if err != nil {
		return err
	}
	conn, err := connect(&s.cfg, tlsConfig, grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}))
	if err != nil {
		return err
	}
	defer conn.Close()
	client := workload.NewSpiffeWorkloadAPIClient(conn)
	var keys sync.WaitGroup
	defer keys.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	keys.Go(func() { s.followKeys(ctx, client) })
	stream, err := client.FetchX509Bundles(ctx, &workload.X509BundlesRequest{})
	if err != nil {
		return err
	}
	for {
		reply, err := stream.Recv()
		if err != nil {
			return err
		}
		if err := s.adopt(reply); err != nil {
			return err
		}
	}
}

// connect prepares a connection to the authority.
func connect(cfg *Config, tlsConfig *tls.Config, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient(cfg.target(), append(opts,
		grpc.WithTransportCredentials(credentials.NewTLS(tlsConfig)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxReply)),
		grpc.WithDisableServiceConfig(),
		grpc.WithNoProxy())...)
	if err != nil {
		return nil, fmt.Errorf("authority at %s: %w", cfg.CAAddress, err)
	}
	return conn, nil
}

// adopt takes a bundle over, and has the identity renewed if it is not under the root
// that signs.
func (s *Source) adopt(reply *workload.X509BundlesResponse) error {
	s.keeping.Lock()
	defer s.keeping.Unlock()
	s.mu.Lock()
	cur := s.current
	s.mu.Unlock()
	if cur == nil {
		return errors.New("there is no identity")
	}
	next, err := cur.withBundle(reply.GetBundles())
	if err != nil {
		return err
	}
	if err := s.adoptFederated(cur, reply.GetBundles()); err != nil {
		return err
	}
	s.told, s.toldAt = reply.GetBundles(), s.cfg.Now()
	if next == nil {
		return nil
	}
	if err := keepBundle(&s.cfg, next.BundlePEM); err != nil {
		return err
	}
	sooner := false
	if !next.underFirstRoot() {
		if soon := next.soon(s.cfg.Now()); soon.Before(next.renewAt) {
			next.renewAt, sooner = soon, true
		}
	}
	s.cfg.Log.Info("another trust bundle", "identity", next, "renewAt", next.renewAt)
	s.mu.Lock()
	s.current = next
	s.tell()
	s.mu.Unlock()
	if sooner { // only now: Run looks at the current identity when it wakes
		select {
		case s.sooner <- struct{}{}:
		default: // Run has not seen the last one yet
		}
	}
	return nil
}

// soon is when to renew after a change of roots, well before the identity ends.
func (i *Identity) soon(now time.Time) time.Time {
	return now.Add(rand.N(min(spread, max(time.Millisecond, i.NotAfter().Sub(now)/8))))
}

// withBundle gives the identity with the roots of its trust domain among bundles, nil
// when it has them.
func (i *Identity) withBundle(bundles map[string][]byte) (*Identity, error) {
	td, err := trustDomain(i.SPIFFEID, nil)
	if err != nil {
		return nil, err
	}
	roots, err := x509.ParseCertificates(bundles["spiffe://"+td])
	if err != nil || len(roots) == 0 {
		return nil, fmt.Errorf("the authority gave no roots of %q that can be read", td)
	}
	pool := x509.NewCertPool()
	for _, c := range roots {
		if !c.IsCA {
			return nil, fmt.Errorf("trust bundle: certificate %q is not an authority's", c.Subject)
		}
		pool.AddCert(c)
	}
	text := encode(roots)
	if string(text) == string(i.BundlePEM) {
		return nil, nil
	}
	next := *i
	next.Bundle, next.BundlePEM = pool, text
	return &next, nil
}

// underFirstRoot says whether the root that signs now has signed the chain.
func (i *Identity) underFirstRoot() bool {
	roots, err := certificates(i.BundlePEM)
	if err != nil {
		return false
	}
	chain, err := certificates(i.chainPEM)
	if err != nil {
		return false
	}
	return chain[len(chain)-1].CheckSignatureFrom(roots[0]) == nil
}
