package xds

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/protobuf/types/known/anypb"

	emitxds "github.com/meshc/meshc/compiler/emit/xds"
)

// Bundle is the roots of a trust domain, as PEM certificates.
type Bundle struct {
	TrustDomain string
	PEM         []byte
}

// bundleSecret makes the SDS secret of a trust domain's roots, which holds those of
// its aliases too: then each of them vouches for its own trust domain alone. Only
// certificates are let through: no stream ever carries a private key.
func bundleSecret(own Bundle, aliases []Bundle) (*Resource, error) {
	var domains []*tlsv3.SPIFFECertValidatorConfig_TrustDomain
	for _, b := range append([]Bundle{own}, aliases...) {
		if _, err := spiffeid.TrustDomainFromString(b.TrustDomain); err != nil {
			return nil, fmt.Errorf("trust domain %q: %w", b.TrustDomain, err)
		}
		clean, err := onlyCertificates(b.PEM)
		if err != nil {
			return nil, fmt.Errorf("trust bundle of %q: %w", b.TrustDomain, err)
		}
		domains = append(domains, &tlsv3.SPIFFECertValidatorConfig_TrustDomain{
			Name: b.TrustDomain, TrustBundle: &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: clean}},
		})
	}
	context := &tlsv3.CertificateValidationContext{TrustedCa: domains[0].TrustBundle}
	if len(domains) > 1 {
		packed := new(anypb.Any)
		if err := anypb.MarshalFrom(packed, &tlsv3.SPIFFECertValidatorConfig{TrustDomains: domains}, deterministic); err != nil {
			return nil, fmt.Errorf("trust bundles of %q and its aliases: %w", own.TrustDomain, err)
		}
		context = &tlsv3.CertificateValidationContext{CustomValidatorConfig: &corev3.TypedExtensionConfig{
			Name: "envoy.tls.cert_validator.spiffe", TypedConfig: packed,
		}}
	}
	secret := &tlsv3.Secret{
		Name: emitxds.BundleName(own.TrustDomain),
		Type: &tlsv3.Secret_ValidationContext{ValidationContext: context},
	}
	raw, err := deterministic.Marshal(secret)
	if err != nil {
		return nil, fmt.Errorf("trust bundle of %q: %w", own.TrustDomain, err)
	}
	return newResource(SDS, secret.GetName(), secret, raw)
}

// onlyCertificates encodes the CA certificates of a bundle again, so that
// nothing but them can slip into what is sent.
func onlyCertificates(in []byte) ([]byte, error) {
	var out bytes.Buffer
	for {
		var block *pem.Block
		block, in = pem.Decode(in)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("holds a PEM block of type %q, want CERTIFICATE only", block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		if !cert.IsCA {
			return nil, fmt.Errorf("certificate %q is not a CA", cert.Subject)
		}
		if err := pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}); err != nil {
			return nil, err
		}
	}
	if len(bytes.TrimSpace(in)) > 0 {
		return nil, errors.New("holds bytes that are no PEM block")
	}
	if out.Len() == 0 {
		return nil, errors.New("holds no certificate")
	}
	return out.Bytes(), nil
}
