package interop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/meshc/meshc/reconciler/push/xds"
)

const aliasMesh = `package mesh

mesh: {trustDomain: "` + domain + `", trustDomainAliases: ["old.example"], proxy: "envoy"}
let Plain = {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
}
service: web: {versions: v1: {}, uses: {shop: {}, elder: {}, impostor: {}}}
service: other: {versions: v1: {}}
service: shop: Plain
service: elder: Plain
service: impostor: Plain
service: family: Plain & {security: allow: [{namespaces: ["default"], notFrom: ["other"]}]}
`

// elders is the authority of another trust domain, which signs whatever it is
// asked for.
type elders struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	root *x509.Certificate
}

func startElders(t *testing.T, domain string) *elders {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "the root of " + domain}, URIs: []*url.URL{{Scheme: "spiffe", Host: domain}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &elders{t, key, root}
}

func (e *elders) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: e.root.Raw})
}

// sign makes a certificate for an identity.
func (e *elders) sign(id string) tls.Certificate {
	e.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		e.t.Fatal(err)
	}
	uri, err := url.Parse(id)
	if err != nil {
		e.t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), URIs: []*url.URL{uri}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}, e.root, key.Public(), e.key)
	if err != nil {
		e.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// server is TLS of an application that is one of an alias.
func (e *elders) server(p *plane, id string) *tls.Config {
	c := p.mutual("spiffe://" + domain + "/ns/default/sa/elder")
	c.Certificates = []tls.Certificate{e.sign(id)}
	return c
}

// Peers of an alias of the trust domain are who they are in it, as callers and as
// servers; and its authority vouches for nobody of the trust domain itself.
func TestAliases(t *testing.T) {
	b := newBed(t, compileText(t, aliasMesh))
	old := startElders(t, "old.example")
	if err := b.plane.ads.SetBundle(domain, b.plane.authority.BundlePEM(), xds.Bundle{TrustDomain: "old.example", PEM: old.pem()}); err != nil {
		t.Fatal(err)
	}
	b.application(ref("elder"), "v1", "elder-0", b.backends.start(t, "elder", old.server(b.plane, "spiffe://old.example/ns/default/sa/elder")))
	b.application(ref("impostor"), "v1", "impostor-0", b.backends.start(t, "impostor", old.server(b.plane, "spiffe://"+domain+"/ns/default/sa/impostor")))
	for _, k := range kinds {
		b.sidecar(ref("web"), "v1", k, "")
		b.sidecar(ref("shop"), "v1", k, b.backends.start(t, "shop-"+string(k), nil))
		b.sidecar(ref("family"), "v1", k, b.backends.start(t, "family-"+string(k), nil))
	}
	b.run()
	own := func(id string) tls.Certificate { return b.plane.certificate(id) }
	for _, k := range kinds {
		t.Run(string(k), func(t *testing.T) {
			for service, want := range map[string]int{"elder": 200, "impostor": 503, "shop": 200} {
				if got := statusOf(t, http.DefaultClient, "http://"+b.client(k, service)+"/"); got != want {
					t.Errorf("web to %s: %d, want %d", service, got, want)
				}
			}
			for _, c := range []struct {
				service, name string
				who           tls.Certificate
				want          int // 0: no connection
			}{
				{"shop", "web of the alias", old.sign("spiffe://old.example/ns/default/sa/web"), 200},
				{"shop", "web", own("spiffe://" + domain + "/ns/default/sa/web"), 200},
				{"shop", "other of the alias", old.sign("spiffe://old.example/ns/default/sa/other"), 403},
				{"shop", "web, signed by the alias", old.sign("spiffe://" + domain + "/ns/default/sa/web"), 0},
				{"shop", "web of a stranger, signed by the alias", old.sign("spiffe://third.example/ns/default/sa/web"), 0},
				{"family", "web of the alias", old.sign("spiffe://old.example/ns/default/sa/web"), 200},
				{"family", "other of the alias", old.sign("spiffe://old.example/ns/default/sa/other"), 403},
				{"family", "somebody of another namespace of the alias", old.sign("spiffe://old.example/ns/far/sa/web"), 403},
			} {
				at := b.placed[c.service+"-"+string(k)].Inbound[meshPort]
				client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
					InsecureSkipVerify: true, Certificates: []tls.Certificate{c.who}, NextProtos: []string{"http/1.1"},
				}}}
				if got := statusOf(t, client, "https://"+at+"/"); got != c.want {
					t.Errorf("%s: %s gets %d, want %d", c.service, c.name, got, c.want)
				}
			}
		})
	}
	for _, x := range b.all() {
		x.refusedNothing()
	}
}

// statusOf asks; 0 is no answer.
func statusOf(t *testing.T, c *http.Client, at string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(req)
	if err != nil {
		return 0
	}
	_ = res.Body.Close()
	return res.StatusCode
}
