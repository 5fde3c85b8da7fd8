package ca

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshc/meshc/ca/api"
	"github.com/meshc/meshc/ca/attest"
	"github.com/meshc/meshc/ca/validate"
)

// Register adds the signing service, and the one that gives tokens and tells of the
// trust bundle, to a gRPC server, which should have ServerOptions.
func (a *Authority) Register(r grpc.ServiceRegistrar) {
	api.RegisterIstioCertificateServiceServer(r, &service{a: a})
	workload.RegisterSpiffeWorkloadAPIServer(r, &delivery{a: a})
}

type service struct {
	api.UnimplementedIstioCertificateServiceServer
	a *Authority
}

// CreateCertificate authenticates before it reads anything of the request, and
// uses up a join token only when nothing but the signature is left to do.
func (s *service) CreateCertificate(ctx context.Context, req *api.IstioCertificateRequest) (*api.IstioCertificateResponse, error) {
	if host := attest.PeerHost(ctx); s.a.attest.Reviewer != nil && !s.a.reviews.allow(host) {
		return nil, s.refuse(ctx, attest.Caller{}, codes.ResourceExhausted, errors.New("too many requests from this address"))
	}
	caller, err := s.a.attest.Identify(ctx)
	if errors.Is(err, attest.ErrUnavailable) {
		return nil, s.refuse(ctx, caller, codes.Unavailable, err)
	}
	if err != nil {
		return nil, s.refuse(ctx, caller, codes.Unauthenticated, err)
	}
	if !s.a.limiter.allow(caller.ID.String()) {
		return nil, s.refuse(ctx, caller, codes.ResourceExhausted, errors.New("too many requests of this identity"))
	}
	if err := checkMetadata(req.GetMetadata()); err != nil {
		return nil, s.refuse(ctx, caller, codes.InvalidArgument, err)
	}
	ttl, err := lifetime(req.GetValidityDuration())
	if err != nil {
		return nil, s.refuse(ctx, caller, codes.InvalidArgument, err)
	}
	pub, err := validate.CSR([]byte(req.GetCsr()))
	if err != nil {
		return nil, s.refuse(ctx, caller, codes.InvalidArgument, err)
	}
	if _, err := s.a.workload(caller.ID.String()); err != nil {
		return nil, s.refuse(ctx, caller, codes.PermissionDenied, err)
	}
	if _, err := s.a.source.current(s.a.cfg.Now()); err != nil {
		return nil, s.refuse(ctx, caller, codes.Internal, err)
	}
	if err := s.a.attest.Confirm(caller); err != nil {
		return nil, s.refuse(ctx, caller, codes.Unauthenticated, err)
	}
	chain, err := s.a.issue(asker{Caller: caller, peer: address(ctx)}, pub, ttl)
	if err != nil {
		return nil, s.refuse(ctx, caller, codes.Internal, err)
	}
	s.audit(ctx, caller, chain[0])
	return &api.IstioCertificateResponse{CertChain: s.a.encode(chain)}, nil
}

func (s *service) audit(ctx context.Context, c attest.Caller, leaf *x509.Certificate) {
	s.a.cfg.Log.InfoContext(ctx, "certificate issued",
		"spiffeID", c.ID.String(), "workload", c.Workload, "method", string(c.Method), "peer", address(ctx),
		"serial", leaf.SerialNumber.Text(16), "notAfter", leaf.NotAfter)
}

func (s *service) refuse(ctx context.Context, c attest.Caller, code codes.Code, reason error) error {
	return s.a.refuse(ctx, "certificate", c, code, reason)
}

// refuse logs the reason why somebody does not get what. A caller without identity is
// told only that.
func (a *Authority) refuse(ctx context.Context, what string, c attest.Caller, code codes.Code, reason error) error {
	a.cfg.Log.WarnContext(ctx, what+" refused",
		"spiffeID", c.ID.String(), "method", string(c.Method), "peer", address(ctx), "code", code.String(), "reason", reason)
	switch code {
	case codes.Internal:
		return status.Error(code, "the "+what+" could not be made")
	case codes.Unavailable:
		return status.Error(code, attest.ErrUnavailable.Error())
	}
	return status.Error(code, reason.Error())
}

func address(ctx context.Context) string {
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		return p.Addr.String()
	}
	return ""
}

// encode is the wire form of a chain: one PEM text per certificate, and last
// the whole trust bundle in one text, where clients of the protocol look for
// the root.
func (a *Authority) encode(chain []*x509.Certificate) []string {
	out := make([]string, 0, len(chain)+1)
	for _, c := range chain {
		out = append(out, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})))
	}
	return append(out, string(a.BundlePEM()))
}

// lifetime reads validity_duration; values that a Duration cannot hold mean
// "as long as allowed".
func lifetime(seconds int64) (time.Duration, error) {
	if seconds < 0 {
		return 0, errors.New("validity_duration is negative")
	}
	if seconds > math.MaxInt64/int64(time.Second) {
		return math.MaxInt64, nil
	}
	return time.Duration(seconds) * time.Second, nil
}

// checkMetadata refuses hints that a caller could believe to have an effect,
// such as an identity to impersonate. Clients of the protocol send empty
// values freely.
func checkMetadata(md *structpb.Struct) error {
	var names []string
	for name, v := range md.GetFields() {
		_, null := v.GetKind().(*structpb.Value_NullValue)
		if s, text := v.GetKind().(*structpb.Value_StringValue); null || (text && s.StringValue == "") {
			continue
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return nil
	}
	return errors.New("metadata is not supported: " + slices.Min(names))
}
