package transport

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/encoding/protojson"
)

// webServer answers handshakes with a certificate of its own authority.
func webServer(t *testing.T, names ...string) (dial func() net.Conn, roots string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.(*tls.Conn).Handshake()
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	dial = func() net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	return dial, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func webContext(t *testing.T, roots string, sans string) *tlsv3.UpstreamTlsContext {
	t.Helper()
	ctx := new(tlsv3.UpstreamTlsContext)
	text := `{"sni": "a.test", "common_tls_context": {"validation_context": {"match_typed_subject_alt_names": [` + sans + `]}}}`
	if err := protojson.Unmarshal([]byte(text), ctx); err != nil {
		t.Fatal(err)
	}
	ctx.GetCommonTlsContext().GetValidationContext().TrustedCa = &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: roots}}
	return ctx
}

func dns(name string) string { return `{"san_type": "DNS", "matcher": {"exact": "` + name + `"}}` }

func TestServersOfTheWeb(t *testing.T) {
	_, foreign := webServer(t, "a.test")
	for _, c := range []struct {
		name, cert, sans, err string
		foreign               bool
	}{
		{name: "its name", cert: "a.test", sans: dns("a.test")},
		{name: "one of several", cert: "b.test", sans: dns("a.test") + "," + dns("b.test")},
		{name: "a wildcard", cert: "*.test", sans: dns("a.test")},
		{name: "a wildcard is one label", cert: "*.test", sans: dns("b.a.test"), err: "none of the names"},
		{name: "another name", cert: "b.test", sans: dns("a.test"), err: "none of the names"},
		{name: "another authority", cert: "a.test", sans: dns("a.test"), foreign: true, err: "unknown authority"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dial, roots := webServer(t, c.cert)
			if c.foreign {
				roots = foreign
			}
			cfg, err := Client(webContext(t, roots, c.sans), nil)
			if err != nil {
				t.Fatal(err)
			}
			conn := tls.Client(dial(), cfg)
			defer conn.Close()
			err = conn.Handshake()
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("handshake: %v, want %q", err, c.err)
			}
		})
	}
}

func TestDNSNamesThatAreRefused(t *testing.T) {
	_, roots := webServer(t, "a.test")
	for sans, want := range map[string]string{
		`{"san_type": "DNS", "matcher": {"prefix": "a"}}`:                          "prefix is not supported",
		`{"san_type": "DNS", "matcher": {"exact": "a.test", "ignore_case": true}}`: "ignore_case is not supported",
		dns("*.test"): "not a DNS name",
		dns(""):       "not a DNS name",
		`{"san_type": "URI", "matcher": {"exact": "spiffe://a/b"}},` + dns("a.test"): "beside SPIFFE IDs",
		`{"san_type": "EMAIL", "matcher": {"exact": "a@a.test"}}`:                    "not supported",
	} {
		if _, err := Client(webContext(t, roots, sans), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", sans, err)
		}
	}
}

// TestServersThatAreNotVerified: any server outside the mesh will do where that is
// said in so many words, and none in it; a context that says nothing is refused.
func TestServersThatAreNotVerified(t *testing.T) {
	dial, _ := webServer(t, "other.test")
	const anybody = `"validation_context": {"trust_chain_verification": "ACCEPT_UNTRUSTED"}`
	own := func(name string) string { return `"tls_certificate_sds_secret_configs": [{"name": "` + name + `"}]` }
	for text, want := range map[string]string{
		anybody: "",
		anybody + "," + own("certificate|secret|client"):      "",
		anybody + "," + own("default"):                        "accepted as one of the mesh",
		anybody + "," + own("certificate-of-some-other-kind"): "accepted as one of the mesh",
		"":                               "any server would be accepted",
		own("certificate|secret|client"): "any server would be accepted",
		own("default"):                   "any server would be accepted",
		`"validation_context": {}`:       "trusted_ca is missing",
		`"validation_context": {"trust_chain_verification": "VERIFY_TRUST_CHAIN"}`:                                                                                                  "trusted_ca is missing",
		`"validation_context": {"trust_chain_verification": "ACCEPT_UNTRUSTED", "verify_certificate_spki": ["a"]}`:                                                                  "trust_chain_verification is not supported",
		`"validation_context": {"trust_chain_verification": "ACCEPT_UNTRUSTED", "match_typed_subject_alt_names": [` + dns("a.test") + `]}`:                                          "trust_chain_verification is not supported",
		`"combined_validation_context": {"default_validation_context": {"trust_chain_verification": "ACCEPT_UNTRUSTED"}, "validation_context_sds_secret_config": {"name": "ca|a"}}`: "trust_chain_verification is not supported",
	} {
		cfg, err := Client(upstream(t, `{"sni": "a.test", "common_tls_context": {`+text+`}}`), newSecrets(nil, nil))
		if want != "" {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		c := tls.Client(dial(), cfg)
		if err := c.Handshake(); err != nil || c.ConnectionState().PeerCertificates[0].DNSNames[0] != "other.test" {
			t.Errorf("%s: %v", text, err)
		}
		_ = c.Close()
	}
}
