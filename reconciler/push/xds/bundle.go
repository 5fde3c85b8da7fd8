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

	emitxds "github.com/meshc/meshc/compiler/emit/xds"
)

// bundleSecret makes the SDS secret of a trust domain's roots. Only
// certificates are let through: no stream ever carries a private key.
func bundleSecret(trustDomain string, pemBytes []byte) (*Resource, error) {
	if _, err := spiffeid.TrustDomainFromString(trustDomain); err != nil {
		return nil, fmt.Errorf("trust domain %q: %w", trustDomain, err)
	}
	clean, err := onlyCertificates(pemBytes)
	if err != nil {
		return nil, fmt.Errorf("trust bundle of %q: %w", trustDomain, err)
	}
	secret := &tlsv3.Secret{
		Name: emitxds.BundleName(trustDomain),
		Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
			TrustedCa: &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: clean}},
		}},
	}
	raw, err := deterministic.Marshal(secret)
	if err != nil {
		return nil, fmt.Errorf("trust bundle of %q: %w", trustDomain, err)
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
