package attest

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// Method says how a caller proved who it is.
type Method string

// Methods.
const (
	ByJoinToken   Method = "join-token"
	BySVID        Method = "x509-svid"
	ByTokenReview Method = "token-review" // of a Kubernetes service account
)

// Methods are all of them.
var Methods = []Method{ByJoinToken, BySVID, ByTokenReview}

// Caller is an authenticated caller. It may get a certificate for ID and for
// nothing else.
type Caller struct {
	ID       spiffeid.ID
	Workload string
	Method   Method

	token string
}

// Verifier verifies a certificate chain that came with a connection.
type Verifier func(chain []*x509.Certificate) (spiffeid.ID, error)

// Attestor is how callers may prove who they are.
type Attestor struct {
	Tokens   *Tokens  // nil: join tokens are not taken
	Verify   Verifier // nil: certificates are not taken
	Reviewer Reviewer // nil: tokens of a platform are not taken
}

// Identify authenticates the caller of a gRPC method: by the metadata
// "authorization: Bearer <token>", or by the client certificate of its
// connection. Both at once are refused, because they could name two callers. A
// join token is looked at and stays usable; Confirm uses it up.
func (a *Attestor) Identify(ctx context.Context) (Caller, error) {
	token, err := bearer(ctx)
	if err != nil {
		return Caller{}, err
	}
	chain := PeerChain(ctx)
	switch {
	case token != "" && len(chain) != 0:
		return Caller{}, errors.New("a token and a client certificate together are ambiguous")
	case token != "" && a.Reviewer != nil && isJWT(token):
		grant, err := a.Reviewer.Review(ctx, token)
		if err != nil {
			return Caller{}, err
		}
		return Caller{ID: grant.ID, Workload: grant.Workload, Method: ByTokenReview}, nil
	case token != "" && a.Tokens != nil:
		grant, err := a.Tokens.Look(token)
		if err != nil {
			return Caller{}, err
		}
		return Caller{ID: grant.ID, Workload: grant.Workload, Method: ByJoinToken, token: token}, nil
	case token != "":
		return Caller{}, errors.New("tokens of this kind are not taken")
	case len(chain) != 0 && a.Verify != nil:
		id, err := a.Verify(chain)
		if err != nil {
			return Caller{}, fmt.Errorf("client certificate: %w", err)
		}
		return Caller{ID: id, Method: BySVID}, nil
	case len(chain) != 0:
		return Caller{}, errors.New("certificates are not renewed by themselves here: a token is needed")
	}
	return Caller{}, errors.New("neither a token nor a client certificate was given")
}

// Confirm uses up the caller's join token, if it came by one.
func (a *Attestor) Confirm(c Caller) error {
	if c.Method != ByJoinToken {
		return nil
	}
	grant, err := a.Tokens.Use(c.token)
	if err != nil {
		return err
	}
	if grant.ID != c.ID {
		return ErrToken
	}
	return nil
}

// PeerChain returns the certificates that the peer of a gRPC call presented,
// leaf first, none without TLS. They are not verified by it.
func PeerChain(ctx context.Context) []*x509.Certificate {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return nil
	}
	return info.State.PeerCertificates
}

func bearer(ctx context.Context) (string, error) {
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 {
		return "", errors.New("more than one authorization header")
	}
	token, ok := strings.CutPrefix(values[0], "Bearer ")
	if !ok || token == "" {
		return "", errors.New(`the authorization header is not "Bearer <token>"`)
	}
	return token, nil
}
