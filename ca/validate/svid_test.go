package validate

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// lab is a root, an issuer below it and a key for leaves.
type lab struct {
	root, issuer       *x509.Certificate
	rootKey, issuerKey *ecdsa.PrivateKey
	leafKey            *ecdsa.PrivateKey
	bundle             *x509bundle.Bundle
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func signed(t *testing.T, tmpl, parent *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func authorityTemplate(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, URIs: uris("spiffe://mesh.example"),
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{rootKey: newKey(t), issuerKey: newKey(t), leafKey: newKey(t)}
	rt := authorityTemplate("root")
	l.root = signed(t, rt, rt, l.rootKey.Public(), l.rootKey)
	l.issuer = signed(t, authorityTemplate("issuer"), l.root, l.issuerKey.Public(), l.rootKey)
	l.bundle = x509bundle.FromX509Authorities(td, []*x509.Certificate{l.root})
	return l
}

func uris(s ...string) []*url.URL {
	var out []*url.URL
	for _, u := range s {
		p, err := url.Parse(u)
		if err != nil {
			panic(err)
		}
		out = append(out, p)
	}
	return out
}

func leafTemplate() *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(9), URIs: uris("spiffe://mesh.example/ns/shop/sa/cart"),
		NotBefore: now.Add(-time.Minute), NotAfter: now.Add(time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
}

func TestSVIDRefusesWhatTheSpecificationForbids(t *testing.T) {
	l := newLab(t)
	cases := map[string]struct {
		change func(*x509.Certificate)
		want   string // part of the error; "" = accepted
	}{
		"a good leaf":                  {func(*x509.Certificate) {}, ""},
		"no extended key usage at all": {func(c *x509.Certificate) { c.ExtKeyUsage = nil }, ""},
		"a DNS name beside the URI":    {func(c *x509.Certificate) { c.DNSNames = []string{"a.example"} }, ""},
		"no URI SAN":                   {func(c *x509.Certificate) { c.URIs = nil; c.DNSNames = []string{"a.example"} }, "no URI SAN"},
		"two URI SANs": {func(c *x509.Certificate) {
			c.URIs = uris("spiffe://mesh.example/ns/shop/sa/cart", "spiffe://mesh.example/ns/shop/sa/admin")
		}, "more than one URI SAN"},
		"another scheme":       {func(c *x509.Certificate) { c.URIs = uris("https://mesh.example/a") }, "scheme"},
		"no path":              {func(c *x509.Certificate) { c.URIs = uris("spiffe://mesh.example") }, "trust domain"},
		"another trust domain": {func(c *x509.Certificate) { c.URIs = uris("spiffe://other/ns/a/sa/b") }, "bundle"},
		"CA:TRUE":              {func(c *x509.Certificate) { c.IsCA = true }, "CA flag"},
		"keyCertSign":          {func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign; c.IsCA = false }, "KeyCertSign"},
		"cRLSign":              {func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCRLSign }, "KeyCrlSign"},
		"no digitalSignature":  {func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }, "digitalSignature"},
		"no key usage":         {func(c *x509.Certificate) { c.KeyUsage = 0 }, "digitalSignature"},
		"key usage not critical": {func(c *x509.Certificate) {
			c.KeyUsage = 0
			bits, _ := asn1.Marshal(asn1.BitString{Bytes: []byte{0x80}, BitLength: 1})
			c.ExtraExtensions = []pkix.Extension{{Id: oidKeyUsage, Value: bits}}
		}, "not critical"},
		"client authentication only": {func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[1:] }, "extended key usage"},
		"expired":                    {func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) }, "expired"},
		"not yet valid":              {func(c *x509.Certificate) { c.NotBefore = now.Add(time.Second) }, "not yet valid"},
		"too many names":             {func(c *x509.Certificate) { c.DNSNames = make17() }, "names"},
		"too many bytes": {func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: make([]byte, maxChainBytes)}}
		}, "bytes"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			tmpl := leafTemplate()
			c.change(tmpl)
			leaf := signed(t, tmpl, l.issuer, l.leafKey.Public(), l.issuerKey)
			_, err := SVID([]*x509.Certificate{leaf, l.issuer}, l.bundle, now)
			expect(t, err, c.want)
		})
	}
}

func make17() []string {
	out := make([]string, 17)
	for i := range out {
		out[i] = strings.Repeat("a", i+1) + ".example"
	}
	return out
}

func TestSVIDRefusesForeignChains(t *testing.T) {
	l, other := newLab(t), newLab(t)
	leaf := signed(t, leafTemplate(), l.issuer, l.leafKey.Public(), l.issuerKey)
	self := signed(t, leafTemplate(), leafTemplate(), l.leafKey.Public(), l.leafKey)
	foreign := authorityTemplate("issuer")
	foreign.URIs = uris("spiffe://other.example")
	misnamed := signed(t, foreign, l.root, l.issuerKey.Public(), l.rootKey)
	cases := map[string]struct {
		chain []*x509.Certificate
		want  string
	}{
		"empty":                        {nil, "empty"},
		"without its intermediate":     {[]*x509.Certificate{leaf}, "unknown authority"},
		"self-signed":                  {[]*x509.Certificate{self}, "unknown authority"},
		"another root":                 {[]*x509.Certificate{signed(t, leafTemplate(), other.issuer, l.leafKey.Public(), other.issuerKey), other.issuer}, "unknown authority"},
		"too long":                     {[]*x509.Certificate{leaf, l.issuer, l.issuer, l.issuer, l.issuer}, "more than 4"},
		"issuer of another domain":     {[]*x509.Certificate{signed(t, leafTemplate(), misnamed, l.leafKey.Public(), l.issuerKey), misnamed}, "authority of"},
		"a leaf in the issuer's place": {[]*x509.Certificate{leaf, l.issuer, leaf}, "not an authority"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := SVID(c.chain, l.bundle, now)
			expect(t, err, c.want)
		})
	}
}

func TestIssuedWantsExactlyWhatWasDecided(t *testing.T) {
	l := newLab(t)
	id, err := WorkloadID("spiffe://mesh.example/ns/shop/sa/cart", td)
	if err != nil {
		t.Fatal(err)
	}
	other, err := WorkloadID("spiffe://mesh.example/ns/shop/sa/admin", td)
	if err != nil {
		t.Fatal(err)
	}
	good := Issuance{ID: id, PublicKey: l.leafKey.Public(), NotAfter: now.Add(time.Hour)}
	cases := map[string]struct {
		change func(*x509.Certificate, *Issuance)
		want   string
	}{
		"as decided":     {func(*x509.Certificate, *Issuance) {}, ""},
		"another ID":     {func(_ *x509.Certificate, w *Issuance) { w.ID = other }, "not for"},
		"another key":    {func(_ *x509.Certificate, w *Issuance) { w.PublicKey = newKey(t).Public() }, "another public key"},
		"a DNS name":     {func(c *x509.Certificate, _ *Issuance) { c.DNSNames = []string{"a.example"} }, "more than the SPIFFE ID"},
		"an IP address":  {func(c *x509.Certificate, _ *Issuance) { c.IPAddresses = []net.IP{{1, 2, 3, 4}} }, "more than the SPIFFE ID"},
		"a common name":  {func(c *x509.Certificate, _ *Issuance) { c.Subject.CommonName = "x" }, "more than the SPIFFE ID"},
		"one more usage": {func(c *x509.Certificate, _ *Issuance) { c.KeyUsage |= x509.KeyUsageKeyAgreement }, "key usages"},
		"code signing": {func(c *x509.Certificate, _ *Issuance) {
			c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageCodeSigning)
		}, "extended key usages"},
		"no extended use": {func(c *x509.Certificate, _ *Issuance) { c.ExtKeyUsage = nil }, "extended key usages"},
		"too long a life": {func(_ *x509.Certificate, w *Issuance) { w.NotAfter = now.Add(time.Minute) }, "after"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			tmpl, want := leafTemplate(), good
			c.change(tmpl, &want)
			leaf := signed(t, tmpl, l.issuer, l.leafKey.Public(), l.issuerKey)
			expect(t, Issued([]*x509.Certificate{leaf, l.issuer}, l.bundle, now, want), c.want)
		})
	}
}

func expect(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("error %v, want one about %q", err, want)
	}
}
