// Package sds serves a workload's identity to the Envoy beside it, as the SDS
// secrets "default" (key and chain) and "ROOTCA" (trust bundle), and pushes
// each renewal. It is the one place that a private key leaves the process by,
// and goes no further than a unix socket of the same user.
package sds

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	secretv3 "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshc/meshc/dataplane/identity"
)

// Names of the secrets.
const (
	CertificateName = "default"
	BundleName      = "ROOTCA"
)

const secretType = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"

// Server is the secret discovery service of one identity.
type Server struct {
	secretv3.UnimplementedSecretDiscoveryServiceServer
	source *identity.Source
	log    *slog.Logger
}

// New returns a server of source's identity. Streams wait for the first
// identity.
func New(source *identity.Source, log *slog.Logger) *Server {
	return &Server{source: source, log: log}
}

// Register adds the service to a gRPC server.
func (s *Server) Register(r grpc.ServiceRegistrar) {
	secretv3.RegisterSecretDiscoveryServiceServer(r, s)
}

// secret is one resource as it goes over the wire.
type secret struct {
	name, version string // version is the content's hash
	body          *anypb.Any
}

// known says whether name is a secret of this server.
func known(name string) bool { return name == CertificateName || name == BundleName }

// render returns the secrets of the current identity by name, none while there
// is none.
func (s *Server) render() (map[string]secret, error) {
	id := s.source.Current()
	if id == nil {
		return nil, nil
	}
	key, err := id.PrivateKeyPEM()
	if err != nil {
		return nil, err
	}
	out := map[string]secret{}
	for _, m := range []*tlsv3.Secret{
		{Name: CertificateName, Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: inline(id.CertificatePEM()), PrivateKey: inline(key),
		}}},
		{Name: BundleName, Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
			TrustedCa: inline(id.BundlePEM),
		}}},
	} {
		body, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			return nil, fmt.Errorf("secret %q: %w", m.GetName(), err)
		}
		sum := sha256.Sum256(body)
		out[m.GetName()] = secret{
			name: m.GetName(), version: hex.EncodeToString(sum[:16]),
			body: &anypb.Any{TypeUrl: secretType, Value: body},
		}
	}
	return out, nil
}

func inline(b []byte) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: b}}
}

// receive reads requests until the stream or ctx ends. The channel is closed
// then, and the error is there to be read.
func receive[T any](ctx context.Context, recv func() (T, error)) (<-chan T, <-chan error) {
	reqs, end := make(chan T), make(chan error, 1)
	go func() {
		defer close(reqs)
		for {
			req, err := recv()
			if err != nil {
				end <- err
				return
			}
			select {
			case reqs <- req:
			case <-ctx.Done():
				end <- ctx.Err()
				return
			}
		}
	}()
	return reqs, end
}
