package ca

import (
	"context"
	"errors"
	"fmt"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc/codes"

	"github.com/meshc/meshc/ca/attest"
)

// FetchJWTSVID makes a token for whoever calls, by the certificate of the connection:
// its subject is the identity in it and nothing else, and it ends no later than the
// certificate, so that whoever has stolen one gains no time. A join token is no answer to
// who calls, since a certificate is what it is for.
func (d *delivery) FetchJWTSVID(ctx context.Context, req *workload.JWTSVIDRequest) (*workload.JWTSVIDResponse, error) {
	refuse := func(c attest.Caller, code codes.Code, reason error) (*workload.JWTSVIDResponse, error) {
		return nil, d.a.refuse(ctx, "JWT-SVID", c, code, reason)
	}
	bySVID := attest.Attestor{Verify: d.a.renewing}
	caller, err := bySVID.Identify(ctx)
	if err != nil {
		return refuse(caller, codes.Unauthenticated, err)
	}
	if !d.a.jwts.allow(caller.ID.String()) {
		return refuse(caller, codes.ResourceExhausted, errors.New("too many requests of this identity"))
	}
	if _, err := d.a.workload(caller.ID.String()); err != nil {
		return refuse(caller, codes.PermissionDenied, err)
	}
	if want := req.GetSpiffeId(); want != "" && want != caller.ID.String() {
		return refuse(caller, codes.PermissionDenied, fmt.Errorf("a token of %q is for nobody else", caller.ID))
	}
	if err := checkAudience(req.GetAudience()); err != nil {
		return refuse(caller, codes.InvalidArgument, err)
	}
	token, err := d.a.issueJWT(asker{Caller: caller, peer: address(ctx)}, req.GetAudience(), attest.PeerChain(ctx)[0].NotAfter)
	if errors.Is(err, ErrNoJWTKey) {
		return refuse(caller, codes.FailedPrecondition, err)
	}
	if err != nil {
		return refuse(caller, codes.Internal, err)
	}
	d.a.cfg.Log.InfoContext(ctx, "JWT-SVID issued", "spiffeID", caller.ID.String(), "audience", req.GetAudience(), "peer", address(ctx))
	return &workload.JWTSVIDResponse{Svids: []*workload.JWTSVID{{SpiffeId: caller.ID.String(), Svid: token}}}, nil
}
