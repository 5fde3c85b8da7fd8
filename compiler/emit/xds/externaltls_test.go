package xds_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/test/stock"
)

// webServer serves HTTPS with a certificate that signs itself, and gives the
// path of its authority.
func webServer(t *testing.T, name string) (addr, ca string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(r.TLS.ServerName))
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.StartTLS()
	t.Cleanup(server.Close)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(server.URL, "https://"), ca
}

// TestEnvoyVerifiesExternals: whom Envoy talks to is whom the language says.
func TestEnvoyVerifiesExternals(t *testing.T) {
	envoy := stock.Envoy(t)
	_, foreign := webServer(t, "a.test")
	cases := []struct {
		name, cert string
		tls        model.ExternalTLS
		status     int
	}{
		{"its name", "a.test", model.ExternalTLS{SANs: []string{"a.test"}, MinVersion: "1.3"}, 200},
		{"a wildcard", "*.test", model.ExternalTLS{SANs: []string{"a.test"}}, 200},
		{"a wildcard is one label", "*.test", model.ExternalTLS{SANs: []string{"b.a.test"}}, 503},
		{"one of several", "b.test", model.ExternalTLS{SANs: []string{"a.test", "b.test"}}, 200},
		{"another name", "b.test", model.ExternalTLS{SANs: []string{"a.test"}}, 503},
		{"another authority", "a.test", model.ExternalTLS{SANs: []string{"a.test"}, CA: foreign}, 503},
		{"not verified for a while", "b.test", model.ExternalTLS{SANs: []string{"a.test"}, Insecure: &model.Insecure{Until: now.Add(time.Hour)}}, 200},
		{"verified again", "b.test", model.ExternalTLS{SANs: []string{"a.test"}, Insecure: &model.Insecure{Until: now}}, 503},
	}
	m := &model.Mesh{TrustDomain: domain}
	caller := newService("tlscaller", "v1")
	caller.MTLS = model.MTLSDisable
	m.Services = append(m.Services, caller)
	for i, c := range cases {
		at, ca := webServer(t, c.cert)
		x := &model.External{
			Ref: shop(fmt.Sprintf("x%d", i)), Host: fmt.Sprintf("x%d.test", i), Endpoints: []string{at}, Timeout: 5 * time.Second,
			Ports: []model.Port{{Name: "https", Number: 443, Protocol: model.HTTP}}, TLS: &c.tls,
		}
		c.tls.Ports, c.tls.SNI = []uint16{443}, "sni.test"
		if c.tls.CA == "" {
			c.tls.CA = ca
		}
		m.Externals, caller.Uses = append(m.Externals, x), append(caller.Uses, x.Ref)
	}
	all := xds.DefaultWorkloads(m)
	runEnvoy(t, envoy, m, all[0], all)
	for i, c := range cases {
		at := all[0].Outbound[model.OutboundKey(shop(fmt.Sprintf("x%d", i)), 443)]
		waitFor(t, at)
		status, body := get(t, at, request{target: "/"})
		if status != c.status || status == 200 && body != "sni.test" {
			t.Errorf("%s: status %d, server name %q; want status %d", c.name, status, body, c.status)
		}
	}
}
