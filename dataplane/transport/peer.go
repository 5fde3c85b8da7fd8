package transport

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/dataplane/transport/verify"
)

// maxBundleBytes bounds a trust bundle in a file.
const maxBundleBytes = 1 << 20

// bundlePrefix begins the names of bundles that belong to one trust domain.
const bundlePrefix = "bundle|"

// authoritiesPrefix begins the names of authorities outside the mesh: who they
// vouch for needs no SPIFFE ID.
const authoritiesPrefix = "ca|"

// peerPolicy says which peers pass.
type peerPolicy struct {
	bundle      func() *x509.CertPool
	trustDomain string // of peers that no matcher judges; "" = every one that the bundle vouches for
	outside     bool   // the bundle is of authorities outside the mesh
	anybody     bool   // whoever it is passes, with any certificate
	matchers    []sanMatcher
	hosts       []string // DNS names of a server outside the mesh; then there are no matchers
	pins        []pin    // digests of keys; none: any key
	now         func() time.Time
}

func (p *peerPolicy) check(certs []*x509.Certificate, usage x509.ExtKeyUsage) error {
	if err := p.checkName(certs, usage); err != nil {
		return err
	}
	return p.checkPin(certs[0])
}

// checkName takes whom the authorities vouch for under a name that passes.
func (p *peerPolicy) checkName(certs []*x509.Certificate, usage x509.ExtKeyUsage) error {
	if len(p.hosts) > 0 {
		return p.checkHost(certs, usage)
	}
	if p.outside {
		return p.checkOutside(certs, usage)
	}
	id, err := verify.Chain(certs, p.bundle(), usage, p.now())
	if err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	if len(p.matchers) == 0 {
		if p.trustDomain != "" && id.TrustDomain().Name() != p.trustDomain {
			return fmt.Errorf("peer %q is not of trust domain %q", id, p.trustDomain)
		}
		return nil
	}
	for _, match := range p.matchers {
		if match(id.String()) {
			return nil
		}
	}
	if p.trustDomain != "" && id.TrustDomain().Name() != p.trustDomain {
		return fmt.Errorf("peer %q is not of trust domain %q, nor of those that match_typed_subject_alt_names lets in", id, p.trustDomain)
	}
	return fmt.Errorf("peer %q satisfies none of match_typed_subject_alt_names", id)
}

// checkOutside takes whom the authorities vouch for. A SPIFFE ID is refused:
// whoever signs for clients from outside does not sign for the mesh.
func (p *peerPolicy) checkOutside(certs []*x509.Certificate, usage x509.ExtKeyUsage) error {
	if err := verify.Outside(certs, p.bundle(), usage, p.now()); err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	return nil
}

// acceptsAnybody is the one context that says that a server is not verified: nothing
// else may be in it, as it would have no effect.
var acceptsAnybody = &tlsv3.CertificateValidationContext{TrustChainVerification: tlsv3.CertificateValidationContext_ACCEPT_UNTRUSTED}

// peerPolicyOf returns nil for a context that says nothing about peers.
func peerPolicyOf(ctx *tlsv3.CommonTlsContext, s Secrets, o options) (*peerPolicy, error) {
	p := &peerPolicy{now: o.now}
	var err error
	switch v := ctx.GetValidationContextType().(type) {
	case nil:
		return nil, nil
	case *tlsv3.CommonTlsContext_ValidationContext:
		if proto.Equal(v.ValidationContext, acceptsAnybody) {
			return &peerPolicy{anybody: true}, nil
		}
		if err = p.addInline(v.ValidationContext); err == nil && p.bundle == nil {
			err = errors.New("trusted_ca is missing")
		}
		if err != nil {
			return nil, fmt.Errorf("validation_context.%w", err)
		}
	case *tlsv3.CommonTlsContext_ValidationContextSdsSecretConfig:
		if err = p.addSDS(v.ValidationContextSdsSecretConfig, s); err != nil {
			return nil, fmt.Errorf("validation_context_sds_secret_config.%w", err)
		}
	case *tlsv3.CommonTlsContext_CombinedValidationContext:
		if err = p.addCombined(v.CombinedValidationContext, s); err != nil {
			return nil, fmt.Errorf("combined_validation_context.%w", err)
		}
	default:
		return nil, fmt.Errorf("validation_context_type: %T is not supported", v)
	}
	return p, nil
}

// addCombined takes the matchers from the default context and the roots from
// the secret, which is where a rotation changes them.
func (p *peerPolicy) addCombined(c *tlsv3.CommonTlsContext_CombinedCertificateValidationContext, s Secrets) error {
	if err := allow(c, combinedFields); err != nil {
		return err
	}
	if err := p.addInline(c.GetDefaultValidationContext()); err != nil {
		return fmt.Errorf("default_validation_context.%w", err)
	}
	if p.bundle != nil {
		return errors.New("default_validation_context.trusted_ca: the secret replaces it, so it would have no effect")
	}
	if err := p.addSDS(c.GetValidationContextSdsSecretConfig(), s); err != nil {
		return fmt.Errorf("validation_context_sds_secret_config.%w", err)
	}
	return nil
}

func (p *peerPolicy) addSDS(c *tlsv3.SdsSecretConfig, s Secrets) error {
	if c.GetName() == "" {
		return errors.New("name is empty")
	}
	p.bundle = s.Bundle(c.GetName())
	p.outside = strings.HasPrefix(c.GetName(), authoritiesPrefix)
	if p.outside && len(p.matchers) > 0 {
		return errors.New("match_typed_subject_alt_names: not supported for authorities outside the mesh")
	}
	if td, ok := strings.CutPrefix(c.GetName(), bundlePrefix); ok {
		p.trustDomain = td
	}
	return nil
}

func (p *peerPolicy) addInline(c *tlsv3.CertificateValidationContext) error {
	if c == nil {
		return nil
	}
	if err := allow(c, validationFields); err != nil {
		return err
	}
	var err error
	if p.pins, err = compilePins(c.GetVerifyCertificateSpki()); err != nil {
		return err
	}
	for i, m := range c.GetMatchTypedSubjectAltNames() {
		if m.GetSanType() == tlsv3.SubjectAltNameMatcher_DNS {
			host, err := compileDNS(m)
			if err != nil {
				return fmt.Errorf("match_typed_subject_alt_names[%d]: %w", i, err)
			}
			p.hosts = append(p.hosts, host)
			continue
		}
		match, err := compileSAN(m)
		if err != nil {
			return fmt.Errorf("match_typed_subject_alt_names[%d]: %w", i, err)
		}
		p.matchers = append(p.matchers, match)
	}
	if len(p.hosts) > 0 && len(p.matchers) > 0 {
		return errors.New("match_typed_subject_alt_names: DNS names beside SPIFFE IDs are not supported")
	}
	if c.GetTrustedCa() == nil {
		return nil
	}
	data, err := read(c.GetTrustedCa())
	if err != nil {
		return fmt.Errorf("trusted_ca: %w", err)
	}
	pool, err := ParseBundle(data)
	if err != nil {
		return fmt.Errorf("trusted_ca: %w", err)
	}
	p.bundle = func() *x509.CertPool { return pool }
	return nil
}

// BundleFromSecret returns the roots of an SDS secret that holds a trust
// bundle, or those of several trust domains. A secret of another kind, or with
// more than roots in it, is refused.
func BundleFromSecret(s *tlsv3.Secret) (*x509.CertPool, error) {
	vc := s.GetValidationContext()
	if vc == nil {
		return nil, fmt.Errorf("secret %q holds no validation_context", s.GetName())
	}
	if err := allow(vc, fields{"trusted_ca": true, "custom_validator_config": true}); err != nil {
		return nil, fmt.Errorf("secret %q: validation_context.%w", s.GetName(), err)
	}
	pool, err := rootsOf(vc)
	if err != nil {
		return nil, fmt.Errorf("secret %q: validation_context.%w", s.GetName(), err)
	}
	return pool, nil
}

func rootsOf(vc *tlsv3.CertificateValidationContext) (*x509.CertPool, error) {
	switch {
	case vc.GetCustomValidatorConfig() != nil && vc.GetTrustedCa() != nil:
		return nil, errors.New("trusted_ca: not beside custom_validator_config")
	case vc.GetCustomValidatorConfig() != nil:
		pool, err := domainRoots(vc.GetCustomValidatorConfig())
		if err != nil {
			return nil, fmt.Errorf("custom_validator_config: %w", err)
		}
		return pool, nil
	case vc.GetTrustedCa() == nil:
		return nil, errors.New("trusted_ca is missing")
	}
	data, err := read(vc.GetTrustedCa())
	if err != nil {
		return nil, fmt.Errorf("trusted_ca: %w", err)
	}
	pool, err := ParseBundle(data)
	if err != nil {
		return nil, fmt.Errorf("trusted_ca: %w", err)
	}
	return pool, nil
}

// ParseBundle reads PEM certificates, at least one and nothing else.
func ParseBundle(data []byte) (*x509.CertPool, error) {
	if len(data) > maxBundleBytes {
		return nil, fmt.Errorf("bundle of %d bytes, more than %d", len(data), maxBundleBytes)
	}
	pool := x509.NewCertPool()
	if err := addRoots(pool, data, nil); err != nil {
		return nil, err
	}
	return pool, nil
}

// addRoots adds the certificates of a bundle to pool, which has to like each of
// them; nil likes all.
func addRoots(pool *x509.CertPool, data []byte, likes func(*x509.Certificate) error) error {
	n := 0
	for rest := bytes.TrimSpace(data); len(rest) != 0; rest = bytes.TrimSpace(rest) {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil || block.Type != "CERTIFICATE" {
			return errors.New("bundle holds something that is not a PEM certificate")
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("bundle: %w", err)
		}
		if !cert.IsCA {
			return fmt.Errorf("bundle: certificate %q is not an authority's", cert.Subject)
		}
		if likes != nil {
			if err := likes(cert); err != nil {
				return fmt.Errorf("bundle: %w", err)
			}
		}
		pool.AddCert(cert)
		n++
	}
	if n == 0 {
		return errors.New("bundle is empty")
	}
	return nil
}

func read(d *corev3.DataSource) ([]byte, error) {
	switch v := d.GetSpecifier().(type) {
	case *corev3.DataSource_InlineBytes:
		return v.InlineBytes, nil
	case *corev3.DataSource_InlineString:
		return []byte(v.InlineString), nil
	case *corev3.DataSource_Filename:
		f, err := os.Open(v.Filename)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return io.ReadAll(io.LimitReader(f, maxBundleBytes+1))
	}
	return nil, errors.New("it has neither inline_bytes nor inline_string nor filename")
}
