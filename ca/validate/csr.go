package validate

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
)

// MaxCSRBytes bounds a PEM encoded request before anything parses it. A
// request with an 8192 bit RSA key has about 3 KiB.
const MaxCSRBytes = 16 << 10

const (
	minRSABits = 2048
	maxRSABits = 8192 // verification cost grows with the square

	minRSAExponent = 65537
)

// CSR returns the public key of one PEM encoded PKCS #10 request, after
// checking that the requester holds the private key. Names, extensions and
// attributes of the request are not even looked at.
func CSR(text []byte) (crypto.PublicKey, error) {
	if len(text) > MaxCSRBytes {
		return nil, fmt.Errorf("certificate request has %d bytes, more than %d", len(text), MaxCSRBytes)
	}
	block, rest := pem.Decode(text)
	if block == nil {
		return nil, errors.New("certificate request is not PEM")
	}
	if block.Type != "CERTIFICATE REQUEST" {
		return nil, fmt.Errorf("certificate request has the PEM type %q, want CERTIFICATE REQUEST", block.Type)
	}
	if len(bytes.TrimSpace(rest)) != 0 {
		return nil, errors.New("certificate request has data after the PEM block")
	}
	req, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	if err := PublicKey(req.PublicKey); err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	if err := req.CheckSignature(); err != nil {
		return nil, fmt.Errorf("certificate request: the requester does not hold the key: %w", err)
	}
	return req.PublicKey, nil
}

// PublicKey refuses keys that are too weak, or too costly to verify, for an
// X.509-SVID: it takes ECDSA on P-256 and P-384, Ed25519 and RSA of 2048 to
// 8192 bits with an exponent of at least 65537.
func PublicKey(key crypto.PublicKey) error {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() || k.Curve == elliptic.P384() {
			return nil
		}
		return fmt.Errorf("ECDSA key on curve %s, want P-256 or P-384", k.Curve.Params().Name)
	case ed25519.PublicKey:
		return nil
	case *rsa.PublicKey:
		return rsaKey(k)
	}
	return fmt.Errorf("public key of type %T is not supported", key)
}

// rsaKey refuses what makes an RSA key weak and can be seen (NIST SP 800-89
// section 5.3.3, the CA/Browser Forum's baseline requirements section 6.1.6).
func rsaKey(k *rsa.PublicKey) error {
	switch n := k.N.BitLen(); {
	case n < minRSABits || n > maxRSABits:
		return fmt.Errorf("RSA key of %d bits, want %d to %d", n, minRSABits, maxRSABits)
	case k.E < minRSAExponent || k.E%2 == 0:
		return fmt.Errorf("RSA key with the public exponent %d, want an odd one of at least %d", k.E, minRSAExponent)
	case new(big.Int).GCD(nil, nil, k.N, smallPrimes).Cmp(big.NewInt(1)) != 0:
		return errors.New("RSA key whose modulus has a small factor")
	}
	return nil
}

// smallPrimes is the product of all primes below 752.
var smallPrimes = func() *big.Int {
	product := big.NewInt(1)
	for n := int64(2); n < 752; n++ {
		if p := big.NewInt(n); p.ProbablyPrime(0) { // exact below 2^64
			product.Mul(product, p)
		}
	}
	return product
}()
