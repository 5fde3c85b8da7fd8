package transport

import (
	"crypto/x509"
	"errors"
	"fmt"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/meshc/meshc/dataplane/transport/verify"
)

// domainRoots are the roots of several trust domains. Each certificate says by its
// own SPIFFE ID which one it is of, and verify.Chain holds it to that: so they may
// lie in one pool.
func domainRoots(c *corev3.TypedExtensionConfig) (*x509.CertPool, error) {
	config := new(tlsv3.SPIFFECertValidatorConfig)
	if err := c.GetTypedConfig().UnmarshalTo(config); err != nil {
		return nil, err
	}
	if err := allow(config, fields{"trust_domains": true}); err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for i, d := range config.GetTrustDomains() {
		if err := addDomain(pool, d); err != nil {
			return nil, fmt.Errorf("trust_domains[%d]: %w", i, err)
		}
	}
	if len(config.GetTrustDomains()) == 0 {
		return nil, errors.New("trust_domains: none")
	}
	return pool, nil
}

func addDomain(pool *x509.CertPool, d *tlsv3.SPIFFECertValidatorConfig_TrustDomain) error {
	if err := allow(d, fields{"name": true, "trust_bundle": true}); err != nil {
		return err
	}
	data, err := read(d.GetTrustBundle())
	if err != nil {
		return fmt.Errorf("trust_bundle: %w", err)
	}
	if len(data) > maxBundleBytes {
		return fmt.Errorf("trust_bundle: %d bytes, more than %d", len(data), maxBundleBytes)
	}
	err = addRoots(pool, data, func(root *x509.Certificate) error {
		if of := verify.AuthorityOf(root); of != d.GetName() {
			return fmt.Errorf("certificate %q is an authority of %q, not of %q", root.Subject, of, d.GetName())
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("trust_bundle: %w", err)
	}
	return nil
}
