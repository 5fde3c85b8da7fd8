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
	ByJoinToken Method = "join-token"
	BySVID      Method = "x509-svid"
)

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

// Identify authenticates the caller of a gRPC method: by the metadata
// "authorization: Bearer <join token>", or by the client certificate of its
// connection. Both at once are refused, because they could name two callers. A
// join token is looked at and stays usable; Confirm uses it up.
func (t *Tokens) Identify(ctx context.Context, verify Verifier) (Caller, error) {
	token, err := bearer(ctx)
	if err != nil {
		return Caller{}, err
	}
	chain := PeerChain(ctx)
	switch {
	case token != "" && len(chain) != 0:
		return Caller{}, errors.New("a join token and a client certificate together are ambiguous")
	case token != "":
		grant, err := t.Look(token)
		if err != nil {
			return Caller{}, err
		}
		return Caller{ID: grant.ID, Workload: grant.Workload, Method: ByJoinToken, token: token}, nil
	case len(chain) != 0:
		id, err := verify(chain)
		if err != nil {
			return Caller{}, fmt.Errorf("client certificate: %w", err)
		}
		return Caller{ID: id, Method: BySVID}, nil
	}
	return Caller{}, errors.New("neither a join token nor a client certificate was given")
}

// Confirm uses up the caller's join token, if it came by one.
func (t *Tokens) Confirm(c Caller) error {
	if c.Method != ByJoinToken {
		return nil
	}
	grant, err := t.Use(c.token)
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
		return "", errors.New(`the authorization header is not "Bearer <join token>"`)
	}
	return token, nil
}
