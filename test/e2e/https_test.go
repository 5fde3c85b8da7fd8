package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/test/loopback"
)

// webCA is an authority of the web: it knows of no mesh.
type webCA struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newWebCA(t *testing.T) *webCA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "web"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &webCA{t: t, cert: cert, key: key}
}

func (a *webCA) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func (a *webCA) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// issue gives a chain and its key for names.
func (a *webCA) issue(names ...string) (chain, key []byte) {
	a.t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		a.t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial, DNSNames: names, NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, k.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

// secrets writes files below the directory that `meshc up` reads secrets from.
func (m *mesh) secrets(files map[string][]byte) {
	m.t.Helper()
	for name, b := range files {
		at := filepath.Join(m.state(), "secrets", name)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			m.t.Fatal(err)
		}
		if err := os.WriteFile(at, b, 0o600); err != nil {
			m.t.Fatal(err)
		}
	}
}

// The gateway of the demo speaks TLS to a browser: the server name chooses the
// certificate, HTTP/2 is agreed on, a rotated certificate is shown to the next
// client, a partner needs a certificate, and plain HTTP is sent to https.
func TestHTTPSGateway(t *testing.T) {
	m := newMesh(t)
	ca, partners := newWebCA(t), newWebCA(t)
	shopCert, shopKey := ca.issue("shop.example")
	restCert, restKey := ca.issue("other.example")
	m.secrets(map[string][]byte{
		"shop/tls.crt": shopCert, "shop/tls.key": shopKey, "rest.pem": append(restCert, restKey...), "partners/ca.crt": partners.pem(),
	})
	web, api, plain := loopback.Address(t), loopback.Address(t), loopback.Address(t)
	m.edit("local.yaml", `listen: {"8080":`, fmt.Sprintf(`listen: {"8443": %q, "8081": %q, "8080":`, web, plain))
	m.edit("local.yaml", "gateways:\n", fmt.Sprintf("gateways:\n  - name: partner\n    listen: {\"9443\": %q}\n", api))
	m.edit("shop/productpage.cue", "gateway: ingress: {", `
gateway: ingress: listeners: {
	web: {port: 8443, protocol: "https", tls: certificates: [{secret: "shop", hosts: ["shop.example"]}, {file: "rest.pem"}]}
	plain: {port: 8081, protocol: "http", redirectToHTTPS: true}
}
gateway: partner: {
	listeners: api: {port: 9443, protocol: "https", tls: {mode: "mutual", minVersion: "1.3", certificates: [{secret: "shop"}], ca: secret: "partners"}}
	routes: all: {to: "productpage"}
}
gateway: ingress: {`)
	m.commit()
	m.start()

	ask := func(addr, name string, conf *tls.Config) (*http.Response, string, error) {
		conf.RootCAs, conf.ServerName = ca.pool(), name
		tr := &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: true, DisableKeepAlives: true}
		req, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+addr+"/productpage", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = name
		resp, err := (&http.Client{Transport: tr, Timeout: 10 * time.Second}).Do(req)
		if err != nil {
			return nil, "", err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return resp, string(b), err
	}
	for _, name := range []string{"shop.example", "other.example"} {
		resp, body, err := ask(web, name, &tls.Config{})
		if err != nil || resp.StatusCode != 200 || resp.ProtoMajor != 2 || !strings.Contains(body, "Comedy") {
			t.Fatalf("%s: %v, %v, %.200q", name, resp, err, body)
		}
	}
	if _, _, err := ask(web, "nobody.example", &tls.Config{}); err == nil {
		t.Error("the certificate of another name was good enough")
	}
	m.rotates(ca, func() (*http.Response, error) {
		resp, _, err := ask(web, "shop.example", &tls.Config{})
		return resp, err
	})

	if _, _, err := ask(api, "shop.example", &tls.Config{}); err == nil {
		t.Error("a client without a certificate was let in")
	}
	for _, by := range []*webCA{partners, ca} {
		chain, key := by.issue("partner.example")
		pair, err := tls.X509KeyPair(chain, key)
		if err != nil {
			t.Fatal(err)
		}
		resp, _, err := ask(api, "shop.example", &tls.Config{Certificates: []tls.Certificate{pair}})
		if good := err == nil && resp.StatusCode == 200; good != (by == partners) {
			t.Errorf("partner's certificate: %v, got %v, %v", by == partners, resp, err)
		}
	}
	m.redirects(plain)
}

// rotates replaces the certificate and waits until clients see the new one.
func (m *mesh) rotates(ca *webCA, ask func() (*http.Response, error)) {
	m.t.Helper()
	before, err := ask()
	if err != nil {
		m.t.Fatal(err)
	}
	chain, key := ca.issue("shop.example")
	m.secrets(map[string][]byte{"shop/tls.crt": chain, "shop/tls.key": key})
	m.eventually("the new certificate is shown", func() error {
		after, err := ask()
		if err != nil {
			return err
		}
		if after.TLS.PeerCertificates[0].Equal(before.TLS.PeerCertificates[0]) {
			return fmt.Errorf("it is the old one")
		}
		return nil
	})
}

// redirects: plain HTTP is sent to the https listener, whatever the method.
func (m *mesh) redirects(plain string) {
	m.t.Helper()
	hc := &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(m.t.Context(), "POST", "http://"+plain+"/productpage?u=1", strings.NewReader("x"))
	if err != nil {
		m.t.Fatal(err)
	}
	req.Host = "shop.example"
	resp, err := hc.Do(req)
	if err != nil {
		m.t.Fatal(err)
	}
	defer resp.Body.Close()
	if to := resp.Header.Get("Location"); resp.StatusCode != 308 || to != "https://shop.example:8443/productpage?u=1" {
		m.t.Errorf("%d %s", resp.StatusCode, to)
	}
}
