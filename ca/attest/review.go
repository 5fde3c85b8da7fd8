package attest

import (
	"context"
	"errors"
	"net"
	"strings"

	"google.golang.org/grpc/peer"
)

// Reviewer asks a platform who holds a token of it, such as the token of a
// Kubernetes service account.
type Reviewer interface {
	// Review returns what the token stands for now. When the platform could not be
	// asked, errors.Is(err, ErrUnavailable) holds.
	Review(ctx context.Context, token string) (Grant, error)
}

// ErrUnavailable is the answer when nobody can tell whether a token is good.
var ErrUnavailable = errors.New("tokens cannot be reviewed now")

// isJWT says whether a bearer token is a signed one; a join token has no dots.
func isJWT(token string) bool { return strings.Count(token, ".") == 2 }

// PeerHost is the address, without the port, that a gRPC call comes from, "" when
// it is not known.
func PeerHost(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok || p.Addr == nil {
		return ""
	}
	host, _, err := net.SplitHostPort(p.Addr.String())
	if err != nil {
		return p.Addr.String()
	}
	return host
}
