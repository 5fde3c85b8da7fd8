package verify_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"pgregory.net/rapid"

	"github.com/meshc/meshc/ca/validate"
	"github.com/meshc/meshc/dataplane/transport/verify"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newRoot(t testing.TB, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	return sign(t, tmpl, tmpl, key, key)
}

func sign(t testing.TB, tmpl, parent *x509.Certificate, holder, signer *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, holder.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// faults are changes to a good leaf; most make it a bad one.
var faults = []func(*x509.Certificate){
	func(c *x509.Certificate) { c.URIs = nil },
	func(c *x509.Certificate) { c.URIs = append(c.URIs, uri("spiffe://mesh.example/a")) },
	func(c *x509.Certificate) { c.URIs = []*url.URL{uri("spiffe://mesh.example/a")} }, // good
	func(c *x509.Certificate) { c.URIs = []*url.URL{uri("spiffe://mesh.example")} },
	func(c *x509.Certificate) { c.URIs = []*url.URL{uri("https://mesh.example/a")} },
	func(c *x509.Certificate) { c.URIs = []*url.URL{uri("spiffe://mesh.example/a/../b")} },
	func(c *x509.Certificate) {
		c.URIs = []*url.URL{uri("spiffe://mesh.example/" + strings.Repeat("x", 2040))}
	},
	func(c *x509.Certificate) { c.NotBefore = now.Add(time.Second) },
	func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) },
	func(c *x509.Certificate) { c.IsCA = true },
	func(c *x509.Certificate) { c.ExtKeyUsage = nil }, // good
	func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[:min(1, len(c.ExtKeyUsage))] },
	func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} },
	func(c *x509.Certificate) { c.KeyUsage = 0 },
	func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement },
	func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign },
	func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCRLSign },
	func(c *x509.Certificate) { c.DNSNames = []string{"a.example"} }, // good
	func(c *x509.Certificate) { c.DNSNames = strings.Fields(strings.Repeat("a.example ", 17)) },
}

func uri(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return u
}

// draw makes a leaf with up to two faults.
func draw(t *rapid.T) *x509.Certificate {
	c := &x509.Certificate{
		SerialNumber: big.NewInt(2), BasicConstraintsValid: true, URIs: []*url.URL{uri("spiffe://mesh.example/ns/shop/sa/cart")},
		NotBefore: now.Add(-time.Minute), NotAfter: now.Add(time.Minute), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(faults)-1), 0, 2).Draw(t, "faults") {
		faults[i](c)
	}
	return c
}

// TestAgreesWithTheAuthority: the data plane accepts a certificate for both
// uses exactly when the authority, which goes by go-spiffe, calls it valid.
func TestAgreesWithTheAuthority(t *testing.T) {
	rootKey, strangerKey, leafKey := newKey(t), newKey(t), newKey(t)
	root, stranger := newRoot(t, rootKey), newRoot(t, strangerKey)
	bundle := x509bundle.FromX509Authorities(spiffeid.RequireTrustDomainFromString("mesh.example"), []*x509.Certificate{root})
	pool := x509.NewCertPool()
	pool.AddCert(root)
	accepted := 0
	rapid.Check(t, func(rt *rapid.T) {
		tmpl := draw(rt)
		issuer, key := root, rootKey
		if rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(rt, "stranger") == 1 {
			issuer, key = stranger, strangerKey
		}
		chain := []*x509.Certificate{sign(t, tmpl, issuer, leafKey, key)}
		id, err := verify.Chain(chain, pool, x509.ExtKeyUsageServerAuth, now)
		_, clientErr := verify.Chain(chain, pool, x509.ExtKeyUsageClientAuth, now)
		want, wantErr := validate.SVID(chain, bundle, now)
		if (err == nil && clientErr == nil) != (wantErr == nil) {
			rt.Fatalf("data plane: %v, %v; authority: %v", err, clientErr, wantErr)
		}
		if wantErr == nil {
			accepted++
			if id != want {
				rt.Fatalf("data plane reads %q, authority %q", id, want)
			}
		}
	})
	if accepted == 0 {
		t.Error("no certificate was accepted: the test compared nothing")
	}
}

func TestBoundsComeBeforeSignatures(t *testing.T) {
	key := newKey(t)
	root := newRoot(t, key)
	pool := x509.NewCertPool()
	pool.AddCert(root)
	many := make([]*x509.Certificate, verify.MaxChain+1)
	for i := range many {
		many[i] = root
	}
	for name, c := range map[string]struct {
		certs []*x509.Certificate
		pool  *x509.CertPool
		want  string
	}{
		"nothing":   {nil, pool, "no certificate"},
		"too many":  {many, pool, "more than 4"},
		"too large": {[]*x509.Certificate{{Raw: make([]byte, verify.MaxChainBytes+1)}}, pool, "bytes"},
		"no bundle": {[]*x509.Certificate{root}, nil, "no trust bundle"},
		"no names":  {[]*x509.Certificate{root}, pool, "0 URI SANs"},
	} {
		_, err := verify.Chain(c.certs, c.pool, x509.ExtKeyUsageServerAuth, now)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzLeaf: foreign certificates never panic, and what is read as a SPIFFE ID
// is one, byte for byte in the certificate.
func FuzzLeaf(f *testing.F) {
	key := newKey(f)
	root := newRoot(f, key)
	u, err := url.Parse("spiffe://mesh.example/ns/shop/sa/cart")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(root.Raw)
	f.Add(sign(f, &x509.Certificate{
		SerialNumber: big.NewInt(2), URIs: []*url.URL{u}, NotBefore: now, NotAfter: now.Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}, root, key, key).Raw)
	f.Fuzz(func(t *testing.T, der []byte) {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return
		}
		id, err := verify.Leaf(c)
		if err != nil {
			return
		}
		if _, err := spiffeid.FromString(id.String()); err != nil || !strings.Contains(string(c.Raw), id.String()) || len(c.URIs) != 1 {
			t.Fatalf("%q from %v", id, c.URIs)
		}
	})
}
