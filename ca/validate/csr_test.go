package validate

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"testing"
)

func csr(t testing.TB, key crypto.Signer, tmpl *x509.CertificateRequest) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, tmpl, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func TestCSRKeyPolicy(t *testing.T) {
	ec := func(c elliptic.Curve) crypto.Signer {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	rsaKey := func(bits int) crypto.Signer {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GODEBUG", "rsa1024min=0")
	cases := map[string]struct {
		key  crypto.Signer
		want string
	}{
		"P-256":    {ec(elliptic.P256()), ""},
		"P-384":    {ec(elliptic.P384()), ""},
		"Ed25519":  {ed, ""},
		"RSA 2048": {rsaKey(2048), ""},
		"P-224":    {ec(elliptic.P224()), "P-224"},
		"P-521":    {ec(elliptic.P521()), "P-521"},
		"RSA 1024": {rsaKey(1024), "1024 bits"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			pub, err := CSR(csr(t, c.key, &x509.CertificateRequest{}))
			expect(t, err, c.want)
			if c.want == "" && !pub.(interface{ Equal(crypto.PublicKey) bool }).Equal(c.key.Public()) {
				t.Fatal("another key came out")
			}
		})
	}
}

func TestCSRForm(t *testing.T) {
	key := newKey(t)
	good := csr(t, key, &x509.CertificateRequest{})
	block, _ := pem.Decode(good)
	forged := bytes.Clone(block.Bytes)
	forged[len(forged)-1] ^= 1
	cases := map[string]struct {
		text []byte
		want string
	}{
		"nothing":             {nil, "not PEM"},
		"not PEM":             {[]byte("hello"), "not PEM"},
		"a certificate":       {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: block.Bytes}), "PEM type"},
		"two requests":        {append(bytes.Clone(good), good...), "after the PEM block"},
		"damaged":             {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: block.Bytes[:50]}), "certificate request"},
		"a wrong signature":   {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: forged}), "does not hold the key"},
		"larger than allowed": {append(bytes.Clone(good), make([]byte, MaxCSRBytes)...), "bytes, more than"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := CSR(c.text)
			expect(t, err, c.want)
		})
	}
}
