package ca

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/meshc/meshc/ca/validate"
	"github.com/meshc/meshc/test/soak"
)

// Issue 7: 0 wrong names from at least 100,000 fuzzed CSRs (all of them in a soak,
// 2 % otherwise). Each is a request of the SPIFFE ID of somebody else, by every kind
// of name and extension, one half of them then with bytes changed and, mostly, signed
// again, as the holder of a key can. Whatever comes back names who was attested and nobody else, or is refused.
func TestNoRequestReachesACertificate(t *testing.T) {
	a := open(t, Config{})
	key := newKey(t)
	from, to := soak.Seeds(t, 2_000, 100_000)
	issued, changed := 0, 0
	for seed := from; seed < to; seed++ {
		r := mathrand.New(mathrand.NewPCG(7, seed))
		der := hostileRequest(t, r, key)
		if seed%2 == 1 {
			der = damageRequest(t, r, der, key)
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
		pub, err := validate.CSR(text)
		if err != nil {
			continue
		}
		if seed%2 == 1 {
			changed++
		}
		chain, err := a.Issue(cart, pub, 0)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		issued++
		wantOnly(t, seed, chain[0], pub)
	}
	t.Logf("%d requests, %d certificates (%d of requests with changed bytes), 0 wrong names", to-from, issued, changed)
	if issued < int(to-from)/3 || changed < int(to-from)/50 {
		t.Errorf("only %d certificates: the requests are not worth much", issued)
	}
}

// wantOnly: the identity that was decided, the key that was proved, and the five
// extensions of the template.
func wantOnly(t *testing.T, seed uint64, leaf *x509.Certificate, pub crypto.PublicKey) {
	t.Helper()
	k, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if len(leaf.URIs) != 1 || leaf.URIs[0].String() != cart || len(leaf.DNSNames)+len(leaf.IPAddresses)+len(leaf.EmailAddresses) != 0 ||
		leaf.Subject.String() != "" || leaf.IsCA || leaf.KeyUsage != x509.KeyUsageDigitalSignature || len(leaf.Extensions) != 5 || !ok || !k.Equal(pub) {
		t.Fatalf("seed %d: the request reached the certificate: %v %v %v %v, subject %q, CA %v, %d extensions", seed,
			leaf.URIs, leaf.DNSNames, leaf.IPAddresses, leaf.EmailAddresses, leaf.Subject, leaf.IsCA, len(leaf.Extensions))
	}
	if bytes.Contains(leaf.RawTBSCertificate, []byte("admin")) {
		t.Fatalf("seed %d: a name of the request is in the certificate", seed)
	}
}

// names that somebody would like to have.
var wanted = []string{
	admin, "spiffe://mesh.example/ns/shop/sa/cart/../admin", "spiffe://mesh.example/ns/%2e%2e/sa/admin", "SPIFFE://MESH.EXAMPLE/ns/shop/sa/admin",
	"spiffe://mesh.example:443/ns/shop/sa/admin", "spiffe://admin@mesh.example/ns/shop/sa/cart", "spiffe://other.example/ns/shop/sa/admin", "spiffe://mesh.example",
	"spiffe://mesh.example/ns/meshc-system/sa/meshc-controller?admin", cart + "\x00" + admin, cart + "," + admin, "https://admin.example/",
	"spiffe://mesh.example/" + strings.Repeat("admin/", 500),
}

var (
	oidNames       = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidUsage       = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidExtended    = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidUnknown     = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 7}
)

func hostileRequest(t *testing.T, r *mathrand.Rand, key crypto.Signer) []byte {
	t.Helper()
	req := &x509.CertificateRequest{Subject: pkix.Name{CommonName: pick(r, wanted), Organization: []string{"admin"}}}
	if len(req.Subject.CommonName) > 1000 || r.IntN(3) == 0 {
		req.Subject = pkix.Name{}
	}
	if r.IntN(2) == 0 {
		req.DNSNames = []string{"admin.example", "*.example"}
	}
	if r.IntN(3) == 0 {
		req.IPAddresses = []net.IP{net.IPv4(10, 0, 0, byte(r.IntN(256)))}
	}
	if r.IntN(3) == 0 {
		req.EmailAddresses = []string{"admin@mesh.example"}
	}
	if r.IntN(2) == 0 {
		if u, err := url.Parse(pick(r, wanted)); err == nil {
			req.URIs = append(req.URIs, u)
		}
	}
	for range r.IntN(4) {
		e := pkix.Extension{Critical: r.IntN(2) == 0}
		switch r.IntN(5) {
		case 0:
			e.Id, e.Value = oidNames, uriNames(t, r)
			req.DNSNames, req.IPAddresses, req.EmailAddresses, req.URIs = nil, nil, nil, nil
		case 1:
			e.Id, e.Value = oidConstraints, []byte{0x30, 3, 1, 1, 0xff} // CA:TRUE
		case 2:
			e.Id, e.Value = oidUsage, []byte{3, 2, 1, 6} // keyCertSign, cRLSign
		case 3:
			e.Id, e.Value = oidExtended, []byte{0x30, 6, 6, 4, 0x55, 0x1d, 0x25, 0} // any
		default:
			e.Id, e.Value = oidUnknown, []byte("admin")
		}
		req.ExtraExtensions = append(req.ExtraExtensions, e)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, req, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// uriNames is a subject alternative name extension of several URIs, which may be
// anything.
func uriNames(t *testing.T, r *mathrand.Rand) []byte {
	t.Helper()
	var names []asn1.RawValue
	for range 1 + r.IntN(3) {
		names = append(names, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(admin)})
	}
	der, err := asn1.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// damageRequest changes bytes of a request, and signs what came of it again unless
// it was to be changed after that.
func damageRequest(t *testing.T, r *mathrand.Rand, der []byte, key crypto.Signer) []byte {
	t.Helper()
	var req struct {
		Info      asn1.RawValue
		Algorithm asn1.RawValue
		Signature asn1.BitString
	}
	if r.IntN(5) == 0 {
		return damage(r, der)
	}
	if _, err := asn1.Unmarshal(der, &req); err != nil {
		t.Fatal(err)
	}
	req.Info.FullBytes = damage(r, req.Info.FullBytes)
	digest := sha256.Sum256(req.Info.FullBytes)
	sig, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	req.Signature = asn1.BitString{Bytes: sig, BitLength: 8 * len(sig)}
	out, err := asn1.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// damage changes some bytes.
func damage(r *mathrand.Rand, der []byte) []byte {
	out := bytes.Clone(der)
	for range 1 + r.IntN(4) {
		switch i := r.IntN(len(out)); r.IntN(3) {
		case 0:
			out[i] ^= 1 << r.IntN(8)
		case 1:
			out[i] = byte(r.IntN(256))
		default:
			out = append(out[:i], out[min(len(out), i+1+r.IntN(3)):]...)
		}
		if len(out) == 0 {
			return []byte{0x30}
		}
	}
	return out
}

func pick[T any](r *mathrand.Rand, of []T) T { return of[r.IntN(len(of))] }

// A key that could be broken, or that costs too much, is no identity.
func TestWeakKeysAreRefused(t *testing.T) {
	a := open(t, Config{})
	for name, pub := range weakKeys(t) {
		if _, err := a.Issue(cart, pub, 0); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func weakKeys(t *testing.T) map[string]crypto.PublicKey {
	t.Helper()
	prime := func(bits int) *big.Int {
		p, err := rand.Prime(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	good := new(big.Int).Mul(prime(1024), prime(1024))
	small := new(big.Int).Mul(big.NewInt(3), prime(2047))
	curve := func(c elliptic.Curve) crypto.PublicKey {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k.Public()
	}
	return map[string]crypto.PublicKey{
		"RSA of 1024 bits":        &rsa.PublicKey{N: prime(1024), E: 65537},
		"RSA of 9000 bits":        &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 9000), E: 65537},
		"RSA with exponent 1":     &rsa.PublicKey{N: good, E: 1},
		"RSA with exponent 3":     &rsa.PublicKey{N: good, E: 3},
		"RSA with exponent 65538": &rsa.PublicKey{N: good, E: 65538},
		"RSA with a small factor": &rsa.PublicKey{N: small, E: 65537},
		"P-224":                   curve(elliptic.P224()),
		"P-521":                   curve(elliptic.P521()),
		"no key":                  nil,
		"a key of another kind":   "key",
	}
}
