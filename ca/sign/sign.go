// Package sign turns a template and a public key into a certificate.
package sign

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"fmt"
)

// Certificate signs template for the holder of pub with the issuer's key.
// A self-signed certificate has template as its own issuer.
func Certificate(template, issuer *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, pub, key)
	if err != nil {
		return nil, fmt.Errorf("sign certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read the certificate just signed: %w", err)
	}
	return cert, nil
}
