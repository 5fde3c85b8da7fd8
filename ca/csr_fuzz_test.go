package ca

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"testing"

	"github.com/meshc/meshc/ca/validate"
)

// FuzzCSR: whatever a request says, the certificate names the identity that
// was decided and nothing else. The request is either the fuzzer's bytes or
// one that a holder of a key signed over the fuzzer's names.
func FuzzCSR(f *testing.F) {
	a := open(f, Config{})
	key := newKey(f)
	signed := func(cn string, san []byte, extra []byte) []byte {
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
			Subject: pkix.Name{CommonName: cn},
			ExtraExtensions: []pkix.Extension{
				{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: san},   // names
				{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Value: extra}, // CA:TRUE
			},
		}, key)
		if err != nil {
			return nil
		}
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	}
	uri := func(s string) []byte {
		der, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(s)}})
		if err != nil {
			f.Fatal(err)
		}
		return der
	}
	for _, s := range []string{
		admin, "spiffe://mesh.example/ns/shop/sa/cart/../admin", "spiffe://mesh.example/ns/%2e%2e/sa/x", "SPIFFE://MESH.EXAMPLE/ns/a/sa/b",
		"spiffe://mesh.example:80/a", "spiffe://u@mesh.example/a", cart + "\x00" + admin, cart + "," + admin,
	} {
		f.Add([]byte(nil), s, uri(s), []byte{0x30, 3, 1, 1, 0xff})
	}
	f.Add(signed("x", uri(admin), []byte{0x30, 0}), "", []byte(nil), []byte(nil))
	f.Fuzz(func(t *testing.T, raw []byte, cn string, san, extra []byte) {
		for _, text := range [][]byte{raw, signed(cn, san, extra)} {
			pub, err := validate.CSR(text)
			if err != nil {
				continue
			}
			chain, err := a.Issue(cart, pub, 0)
			if err != nil {
				t.Fatalf("an acceptable key was refused: %v", err)
			}
			leaf := chain[0]
			if len(leaf.URIs) != 1 || leaf.URIs[0].String() != cart || leaf.IsCA || leaf.Subject.String() != "" ||
				len(leaf.DNSNames)+len(leaf.IPAddresses)+len(leaf.EmailAddresses) != 0 || len(leaf.Extensions) != 5 {
				t.Fatalf("the request reached the certificate: names %v %v %v %v, subject %q, %d extensions",
					leaf.URIs, leaf.DNSNames, leaf.IPAddresses, leaf.EmailAddresses, leaf.Subject, len(leaf.Extensions))
			}
		}
	})
}
