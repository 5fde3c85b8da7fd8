// Package transport turns Envoy's TLS contexts into TLS configurations. The
// certificate and the trust bundle are asked for at each handshake, so a
// rotation needs no new configuration. A field that would have no effect is
// refused by name, and a doubt about a peer ends the handshake.
package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/meshc/meshc/dataplane/identity/secretfile"
	"github.com/meshc/meshc/dataplane/transport/verify"
)

// Secrets gives live access to SDS secrets by name. The getters it returns are
// called at each handshake, from many goroutines. A bundle that is not there
// (yet, or any more) is nil, and every handshake that needs it fails.
type Secrets interface {
	Certificate(name string) func() (*tls.Certificate, error)
	Bundle(name string) func() *x509.CertPool
}

// Option changes how configurations behave.
type Option func(*options)

type options struct{ now func() time.Time }

// WithClock makes now the clock by which certificates are valid or not.
func WithClock(now func() time.Time) Option {
	return func(o *options) { o.now = now }
}

// Server returns the configuration of a listener. With a validation context a
// client's certificate must verify, and RequireClientCertificate says whether
// there must be one.
func Server(ctx *tlsv3.DownstreamTlsContext, s Secrets, opts ...Option) (*tls.Config, error) {
	cfg, err := server(ctx, s, apply(opts))
	if err != nil {
		return nil, fmt.Errorf("downstream TLS context: %w", err)
	}
	return cfg, nil
}

// Client returns the configuration of an upstream. The server's certificate
// must verify against the bundle and its SAN satisfy a matcher: a context without
// either is refused. One that says trust_chain_verification: ACCEPT_UNTRUSTED and
// nothing else takes whatever a server outside the mesh shows. With the proxy's own
// identity it is refused: that is for peers of the mesh, who have to be verified.
func Client(ctx *tlsv3.UpstreamTlsContext, s Secrets, opts ...Option) (*tls.Config, error) {
	cfg, err := client(ctx, s, apply(opts))
	if err != nil {
		return nil, fmt.Errorf("upstream TLS context: %w", err)
	}
	return cfg, nil
}

// PeerSPIFFEID returns the SPIFFE ID of the other side of a connection whose
// handshake a configuration of this package has let through.
func PeerSPIFFEID(cs tls.ConnectionState) (string, bool) {
	if !cs.HandshakeComplete || len(cs.PeerCertificates) == 0 {
		return "", false
	}
	id, err := verify.Leaf(cs.PeerCertificates[0])
	if err != nil {
		return "", false
	}
	return id.String(), true
}

func apply(opts []Option) options {
	o := options{now: time.Now}
	for _, f := range opts {
		f(&o)
	}
	return o
}

func server(ctx *tlsv3.DownstreamTlsContext, s Secrets, o options) (*tls.Config, error) {
	if ctx == nil {
		return nil, errors.New("it is missing")
	}
	if err := allow(ctx, downstreamFields); err != nil {
		return nil, err
	}
	cfg, peer, err := common(ctx.GetCommonTlsContext(), s, o)
	if err != nil {
		return nil, err
	}
	if cfg.cert == nil {
		return nil, errors.New("common_tls_context.tls_certificate_sds_secret_configs: a server needs a certificate")
	}
	required := ctx.GetRequireClientCertificate().GetValue()
	if required && peer == nil {
		return nil, errors.New("require_client_certificate without a validation context would let every certificate in")
	}
	if peer != nil && peer.anybody {
		return nil, errors.New("validation_context.trust_chain_verification is not supported for clients")
	}
	if peer != nil && len(peer.hosts) > 0 {
		return nil, errors.New("match_typed_subject_alt_names: a client has no DNS name")
	}
	getter := cfg.cert
	cfg.tls.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return getter() }
	switch {
	case required || peer != nil && len(peer.pins) > 0: // as in Envoy: no certificate has none of the keys
		required = true
		cfg.tls.ClientAuth = tls.RequireAnyClientCert // VerifyConnection does the rest
	case peer != nil:
		cfg.tls.ClientAuth = tls.RequestClientCert
	}
	needSNI := ctx.GetRequireSni().GetValue()
	cfg.tls.VerifyConnection = func(cs tls.ConnectionState) error {
		if needSNI && cs.ServerName == "" {
			return errors.New("client sent no server name")
		}
		if len(cs.PeerCertificates) == 0 && !required {
			return nil
		}
		return peer.check(cs.PeerCertificates, x509.ExtKeyUsageClientAuth)
	}
	return cfg.tls, nil
}

func client(ctx *tlsv3.UpstreamTlsContext, s Secrets, o options) (*tls.Config, error) {
	if ctx == nil {
		return nil, errors.New("it is missing")
	}
	if err := allow(ctx, upstreamFields); err != nil {
		return nil, err
	}
	if n := ctx.GetMaxSessionKeys(); n != nil && n.GetValue() != 0 {
		return nil, errors.New("max_session_keys: sessions are never resumed, only 0 is supported")
	}
	cfg, peer, err := common(ctx.GetCommonTlsContext(), s, o)
	if err != nil {
		return nil, err
	}
	if err := verifies(ctx, peer); err != nil {
		return nil, err
	}
	if getter := cfg.cert; getter != nil {
		cfg.tls.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return getter() }
	}
	cfg.tls.ServerName = ctx.GetSni()
	// The standard verification is by host name; ours, by SPIFFE ID, stands in
	// VerifyConnection, which runs for every handshake.
	cfg.tls.InsecureSkipVerify = true
	if !peer.anybody {
		cfg.tls.VerifyConnection = func(cs tls.ConnectionState) error {
			return peer.check(cs.PeerCertificates, x509.ExtKeyUsageServerAuth)
		}
	}
	return cfg.tls, nil
}

// verifies refuses a context that would let a server in without anybody having
// said so.
func verifies(ctx *tlsv3.UpstreamTlsContext, peer *peerPolicy) error {
	switch {
	case peer == nil:
		return errors.New("common_tls_context.validation_context_type: without it any server would be accepted; trust_chain_verification: ACCEPT_UNTRUSTED says that one is not to be verified")
	case peer.anybody && showsIdentity(ctx.GetCommonTlsContext()):
		return errors.New("common_tls_context.validation_context.trust_chain_verification: with the proxy's identity any server would be accepted as one of the mesh")
	case !peer.anybody && len(peer.matchers) == 0 && len(peer.hosts) == 0:
		return errors.New("match_typed_subject_alt_names: without it any workload would pass for the server")
	}
	return nil
}

// showsIdentity says whether the context has another certificate than one that the
// mesh names for use outside.
func showsIdentity(ctx *tlsv3.CommonTlsContext) bool {
	return slices.ContainsFunc(ctx.GetTlsCertificateSdsSecretConfigs(), func(s *tlsv3.SdsSecretConfig) bool {
		return !strings.HasPrefix(s.GetName(), secretfile.CertificatePrefix)
	})
}

// built is what the common part of a context gives.
type built struct {
	tls  *tls.Config
	cert func() (*tls.Certificate, error) // nil: the context names none
}

func common(ctx *tlsv3.CommonTlsContext, s Secrets, o options) (*built, *peerPolicy, error) {
	if ctx == nil {
		return nil, nil, errors.New("common_tls_context is missing")
	}
	if err := allow(ctx, commonFields); err != nil {
		return nil, nil, fmt.Errorf("common_tls_context.%w", err)
	}
	cfg := &tls.Config{
		Time:       o.now,
		NextProtos: ctx.GetAlpnProtocols(),
		// A ticket would let a peer back in after the bundle that let it in
		// is gone.
		SessionTicketsDisabled: true,
	}
	if err := applyParams(cfg, ctx.GetTlsParams()); err != nil {
		return nil, nil, fmt.Errorf("common_tls_context.tls_params.%w", err)
	}
	b := &built{tls: cfg}
	sds := ctx.GetTlsCertificateSdsSecretConfigs()
	if len(sds) > 1 {
		return nil, nil, errors.New("common_tls_context.tls_certificate_sds_secret_configs: more than one is not supported")
	}
	if len(sds) == 1 {
		if sds[0].GetName() == "" {
			return nil, nil, errors.New("common_tls_context.tls_certificate_sds_secret_configs: name is empty")
		}
		b.cert = s.Certificate(sds[0].GetName())
	}
	peer, err := peerPolicyOf(ctx, s, o)
	if err != nil {
		return nil, nil, fmt.Errorf("common_tls_context.%w", err)
	}
	return b, peer, nil
}

// SecretKind says what a secret is used as.
type SecretKind uint8

// Kinds.
const (
	KindCertificate SecretKind = iota
	KindBundle
)

// SecretRef is a secret that a TLS context refers to.
type SecretRef struct {
	Name   string
	Kind   SecretKind
	Source *corev3.ConfigSource
}

// SecretNames returns the SDS secrets that a DownstreamTlsContext or
// UpstreamTlsContext refers to, certificates first.
func SecretNames(ctx interface {
	GetCommonTlsContext() *tlsv3.CommonTlsContext
}) []SecretRef {
	c := ctx.GetCommonTlsContext()
	var out []SecretRef
	for _, s := range c.GetTlsCertificateSdsSecretConfigs() {
		out = append(out, SecretRef{Name: s.GetName(), Kind: KindCertificate, Source: s.GetSdsConfig()})
	}
	for _, s := range []*tlsv3.SdsSecretConfig{
		c.GetValidationContextSdsSecretConfig(),
		c.GetCombinedValidationContext().GetValidationContextSdsSecretConfig(),
	} {
		if s != nil {
			out = append(out, SecretRef{Name: s.GetName(), Kind: KindBundle, Source: s.GetSdsConfig()})
		}
	}
	return out
}
