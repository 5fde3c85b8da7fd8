// Package sds serves a workload's identity to the Envoy beside it, as the SDS
// secrets "default" (key and chain) and "ROOTCA" (trust bundle), and what the
// mesh names of a directory of secrets, and pushes each renewal. It is the one place that a private key leaves the process by,
// and goes no further than a unix socket of the same user.
package sds

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"log/slog"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	secretv3 "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshc/meshc/dataplane/identity"
	"github.com/meshc/meshc/dataplane/identity/secretfile"
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
	files  *secretfile.Store
	log    *slog.Logger
}

// New returns a server of source's identity, and of the secrets in files, which
// may be nil. Streams wait for the first identity.
func New(source *identity.Source, files *secretfile.Store, log *slog.Logger) *Server {
	return &Server{source: source, files: files, log: log}
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
func (s *Server) known(name string) bool {
	return name == CertificateName || name == BundleName || s.files != nil && secretfile.Known(name)
}

// watch gets a value after a secret has changed, and is closed when ctx ends.
func (s *Server) watch(ctx context.Context) <-chan struct{} {
	own := s.source.Watch(ctx)
	if s.files == nil {
		return own
	}
	out := make(chan struct{})
	files := s.files.Changed()
	go func() {
		defer close(out)
		for {
			select {
			case _, ok := <-own:
				if !ok {
					return
				}
			case <-files:
				files = s.files.Changed()
			}
			select {
			case out <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// render returns the secrets that there are of those named.
func (s *Server) render(names iter.Seq[string]) (map[string]secret, error) {
	all, err := s.own()
	if err != nil {
		return nil, err
	}
	for name := range names {
		if secretfile.Known(name) {
			if found, err := s.files.Get(name); err == nil { // else the store has said why not
				all = append(all, fromFile(name, found))
			}
		}
	}
	out := map[string]secret{}
	for _, m := range all {
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

// own are the secrets of the current identity, none while there is none.
func (s *Server) own() ([]*tlsv3.Secret, error) {
	id := s.source.Current()
	if id == nil {
		return nil, nil
	}
	key, err := id.PrivateKeyPEM()
	if err != nil {
		return nil, err
	}
	return []*tlsv3.Secret{
		certificate(CertificateName, id.CertificatePEM(), key),
		authorities(BundleName, id.BundlePEM),
	}, nil
}

func fromFile(name string, s *secretfile.Secret) *tlsv3.Secret {
	if s.Certificate == nil {
		return authorities(name, s.PEM)
	}
	return certificate(name, s.PEM, s.Key)
}

func certificate(name string, chain, key []byte) *tlsv3.Secret {
	return &tlsv3.Secret{Name: name, Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
		CertificateChain: inline(chain), PrivateKey: inline(key),
	}}}
}

func authorities(name string, roots []byte) *tlsv3.Secret {
	return &tlsv3.Secret{Name: name, Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
		TrustedCa: inline(roots),
	}}}
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
