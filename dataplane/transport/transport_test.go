package transport

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func strictServer(t testing.TB) *tlsv3.DownstreamTlsContext {
	return downstream(t, `{"requireClientCertificate":true,"commonTlsContext":{`+ownCert+`,`+fmt.Sprintf(mtls, "")+`}}`)
}

func exactClient(t testing.TB, id string) *tlsv3.UpstreamTlsContext {
	return upstream(t, `{"sni":"cart.shop","commonTlsContext":{"alpnProtocols":["http/1.1"],`+ownCert+`,`+
		fmt.Sprintf(mtls, `"matchTypedSubjectAltNames":[{"sanType":"URI","matcher":{"exact":"`+id+`"}}]`)+`}}`)
}

func mustServer(t testing.TB, c *tlsv3.DownstreamTlsContext, s Secrets) *tls.Config {
	t.Helper()
	cfg, err := Server(c, s)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func mustClient(t testing.TB, c *tlsv3.UpstreamTlsContext, s Secrets) *tls.Config {
	t.Helper()
	cfg, err := Client(c, s)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestBothSidesLearnThePeersIdentity(t *testing.T) {
	a := newAuthority(t)
	srv := mustServer(t, strictServer(t), newSecrets(a.issue(t, leaf(cart)), a.pool()))
	cli := mustClient(t, exactClient(t, cart), newSecrets(a.issue(t, leaf(admin)), a.pool()))
	srv.NextProtos = []string{"http/1.1"}
	ss, cs, serr, cerr := handshake(t, srv, cli)
	if serr != nil || cerr != nil {
		t.Fatal(serr, cerr)
	}
	if id, ok := PeerSPIFFEID(ss); !ok || id != admin {
		t.Errorf("server sees %q, %v", id, ok)
	}
	if id, ok := PeerSPIFFEID(cs); !ok || id != cart {
		t.Errorf("client sees %q, %v", id, ok)
	}
	if ss.ServerName != "cart.shop" || ss.NegotiatedProtocol != "http/1.1" {
		t.Errorf("server name %q, protocol %q", ss.ServerName, ss.NegotiatedProtocol)
	}
	if _, ok := PeerSPIFFEID(tls.ConnectionState{}); ok {
		t.Error("an identity without a handshake")
	}
}

// badLeaves are certificates that neither side may accept of the other.
func badLeaves(t *testing.T, a *authority) map[string]struct {
	cert *tls.Certificate
	want string
} {
	other := newAuthority(t)
	change := func(ids []string, f func(*x509.Certificate)) *x509.Certificate {
		l := leaf(ids...)
		if f != nil {
			f(l)
		}
		return l
	}
	one := []string{cart}
	return map[string]struct {
		cert *tls.Certificate
		want string
	}{
		"wrong trust domain": {a.issue(t, leaf("spiffe://other.example/ns/shop/sa/cart")), "trust domain"},
		"expired": {a.issue(t, change(one, func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)
		})), "expired"},
		"not yet valid": {a.issue(t, change(one, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) })), "not yet valid"},
		"two URI SANs":  {a.issue(t, leaf(cart, admin)), "2 URI SANs"},
		"no SAN":        {a.issue(t, leaf()), "0 URI SANs"},
		"a DNS SAN only": {a.issue(t, change(nil, func(c *x509.Certificate) {
			c.DNSNames = []string{"mesh.example"}
		})), "0 URI SANs"},
		"self-signed":            {selfSigned(t, leaf(cart)), "unknown authority"},
		"another authority":      {other.issue(t, leaf(cart)), "unknown authority"},
		"an upper-case scheme":   {a.issue(t, rawSAN(t, leaf(cart), "SPIFFE://mesh.example/ns/shop/sa/cart")), "scheme"},
		"an empty fragment":      {a.issue(t, rawSAN(t, leaf(cart), cart+"#")), "URI SAN"},
		"the trust domain's own": {a.issue(t, leaf("spiffe://mesh.example")), "not a workload"},
		"CA:TRUE":                {a.issue(t, change(one, func(c *x509.Certificate) { c.IsCA = true })), "CA:TRUE"},
		"keyCertSign":            {a.issue(t, change(one, func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign })), "sign certificates"},
		"no digitalSignature":    {a.issue(t, change(one, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageContentCommitment })), "digitalSignature"},
		"another extended use": {a.issue(t, change(one, func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
		})), "key usage"},
		"too many names": {a.issue(t, change(one, func(c *x509.Certificate) { c.DNSNames = strings.Fields(strings.Repeat("a.example ", 17)) })), "names"},
	}
}

// Roots that say no trust domain, and matchers as meshc writes them: a peer of a
// domain that begins like the mesh's is none of it.
func TestMatchersHoldTheTrustDomain(t *testing.T) {
	a := newAuthority(t)
	ctx := downstream(t, `{"requireClientCertificate":true,"commonTlsContext":{`+ownCert+`,`+
		fmt.Sprintf(mtls, `"matchTypedSubjectAltNames":[{"sanType":"URI","matcher":{"prefix":"spiffe://mesh.example/"}}]`)+`}}`)
	srv := mustServer(t, ctx, newSecrets(a.issue(t, leaf(cart)), a.pool()))
	for id, want := range map[string]string{
		cart: "",
		"spiffe://mesh.example.evil/ns/shop/sa/cart": "trust domain",
		"spiffe://other.example/ns/shop/sa/cart":     "trust domain",
		"spiffe://mesh.example":                      "not a workload",
	} {
		cli := mustClient(t, exactClient(t, cart), newSecrets(a.issue(t, leaf(id)), a.pool()))
		cli.NextProtos = nil
		_, _, serr, _ := handshake(t, srv, cli)
		if want == "" {
			if serr != nil {
				t.Errorf("%s: %v", id, serr)
			}
			continue
		}
		refused(t, serr, want)
	}
}

func TestServerRefusesBadClients(t *testing.T) {
	a := newAuthority(t)
	srv := mustServer(t, strictServer(t), newSecrets(a.issue(t, leaf(cart)), a.pool()))
	for name, c := range badLeaves(t, a) {
		t.Run(name, func(t *testing.T) {
			cli := mustClient(t, exactClient(t, cart), newSecrets(c.cert, a.pool()))
			cli.NextProtos = nil
			_, _, serr, cerr := handshake(t, srv, cli)
			refused(t, serr, c.want)
			if cerr == nil {
				t.Error("the client got an answer")
			}
		})
	}
	t.Run("no certificate", func(t *testing.T) {
		cli := &tls.Config{InsecureSkipVerify: true}
		_, _, serr, _ := handshake(t, srv, cli)
		refused(t, serr, "certificate")
	})
}

func TestClientRefusesBadServers(t *testing.T) {
	a := newAuthority(t)
	cli := mustClient(t, exactClient(t, cart), newSecrets(a.issue(t, leaf(admin)), a.pool()))
	cases := badLeaves(t, a)
	cases["wrong SAN"] = struct {
		cert *tls.Certificate
		want string
	}{a.issue(t, leaf(admin)), "satisfies none"}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			srv := &tls.Config{Certificates: []tls.Certificate{*c.cert}}
			_, _, _, cerr := handshake(t, srv, cli)
			refused(t, cerr, c.want)
		})
	}
}

func TestMissingSecretsFailTheHandshake(t *testing.T) {
	a := newAuthority(t)
	good := a.issue(t, leaf(cart))
	for name, c := range map[string]struct{ server, client *secrets }{
		"no bundle at the server":      {newSecrets(good, nil), newSecrets(good, a.pool())},
		"no bundle at the client":      {newSecrets(good, a.pool()), newSecrets(good, nil)},
		"no certificate at the server": {newSecrets(nil, a.pool()), newSecrets(good, a.pool())},
		"no certificate at the client": {newSecrets(good, a.pool()), newSecrets(nil, a.pool())},
	} {
		t.Run(name, func(t *testing.T) {
			srv := mustServer(t, strictServer(t), c.server)
			cli := mustClient(t, exactClient(t, cart), c.client)
			if _, _, serr, cerr := handshake(t, srv, cli); serr == nil || cerr == nil {
				t.Errorf("handshake went through: %v, %v", serr, cerr)
			}
		})
	}
}

func TestRotationNeedsNoNewConfiguration(t *testing.T) {
	old, next := newAuthority(t), newAuthority(t)
	ss := newSecrets(old.issue(t, leaf(cart)), old.pool())
	cs := newSecrets(old.issue(t, leaf(admin)), old.pool())
	srv, cli := mustServer(t, strictServer(t), ss), mustClient(t, exactClient(t, cart), cs)
	cli.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	for range 2 {
		st, _, serr, cerr := handshake(t, srv, cli)
		if serr != nil || cerr != nil {
			t.Fatal(serr, cerr)
		}
		if st.DidResume {
			t.Fatal("a session was resumed")
		}
	}
	ss.pool.Store(next.pool())
	if _, _, serr, _ := handshake(t, srv, cli); serr == nil {
		t.Fatal("a certificate of the old authority still passes")
	}
	both := func() *x509.CertPool { p := old.pool(); p.AddCert(next.cert); return p }
	ss.pool.Store(both())
	cs.pool.Store(both())
	ss.cert.Store(next.issue(t, leaf(cart)))
	cs.cert.Store(next.issue(t, leaf(admin)))
	if _, _, serr, cerr := handshake(t, srv, cli); serr != nil || cerr != nil {
		t.Fatal(serr, cerr)
	}
}

func TestClientCertificateIsOptionalOnlyWhereTheContextSaysSo(t *testing.T) {
	a := newAuthority(t)
	own := newSecrets(a.issue(t, leaf(cart)), a.pool())
	optional := mustServer(t, downstream(t, `{"commonTlsContext":{`+ownCert+`,`+fmt.Sprintf(mtls, "")+`}}`), own)
	plain := mustServer(t, downstream(t, `{"commonTlsContext":{`+ownCert+`}}`), own)
	anonymous := &tls.Config{InsecureSkipVerify: true}
	for name, srv := range map[string]*tls.Config{"optional": optional, "no validation": plain} {
		if _, _, serr, cerr := handshake(t, srv, anonymous); serr != nil || cerr != nil {
			t.Errorf("%s: %v, %v", name, serr, cerr)
		}
	}
	bad := &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{*selfSigned(t, leaf(cart))}}
	_, _, serr, _ := handshake(t, optional, bad)
	refused(t, serr, "unknown authority")
}

func TestRequireSNI(t *testing.T) {
	a := newAuthority(t)
	srv := mustServer(t, downstream(t, `{"requireSni":true,"commonTlsContext":{`+ownCert+`}}`), newSecrets(a.issue(t, leaf(cart)), nil))
	_, _, serr, _ := handshake(t, srv, &tls.Config{InsecureSkipVerify: true})
	refused(t, serr, "server name")
	if _, _, serr, cerr := handshake(t, srv, &tls.Config{InsecureSkipVerify: true, ServerName: "a.example"}); serr != nil || cerr != nil {
		t.Error(serr, cerr)
	}
}

func TestClockDecidesWhatIsExpired(t *testing.T) {
	a := newAuthority(t)
	s := newSecrets(a.issue(t, leaf(cart)), a.pool())
	later := func() time.Time { return time.Now().Add(2 * time.Hour) }
	srv, err := Server(strictServer(t), s, WithClock(later))
	if err != nil {
		t.Fatal(err)
	}
	_, _, serr, _ := handshake(t, srv, mustClient(t, exactClient(t, cart), s))
	refused(t, serr, "expired")
}

func TestVersions(t *testing.T) {
	a := newAuthority(t)
	own := newSecrets(a.issue(t, leaf(cart)), a.pool())
	only := func(params string) *tls.Config {
		return mustServer(t, downstream(t, `{"commonTlsContext":{"tlsParams":{`+params+`},`+ownCert+`}}`), own)
	}
	any := &tls.Config{InsecureSkipVerify: true}
	st, _, serr, _ := handshake(t, only(`"tlsMaximumProtocolVersion":"TLSv1_2","cipherSuites":["ECDHE-ECDSA-AES256-GCM-SHA384"]`), any)
	if serr != nil || st.Version != tls.VersionTLS12 || st.CipherSuite != tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 {
		t.Errorf("version %x, suite %x, %v", st.Version, st.CipherSuite, serr)
	}
	st, _, serr, _ = handshake(t, only(`"tlsMinimumProtocolVersion":"TLSv1_3","ecdhCurves":["P-384"]`), any)
	if serr != nil || st.Version != tls.VersionTLS13 || st.CurveID != tls.CurveP384 {
		t.Errorf("version %x, curve %v, %v", st.Version, st.CurveID, serr)
	}
	old := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	if _, _, serr, _ := handshake(t, only(``), old); serr == nil {
		t.Error("TLS 1.1 was accepted")
	}
}

func TestInlineBundle(t *testing.T) {
	a := newAuthority(t)
	file := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(file, a.pem(), 0o600); err != nil {
		t.Fatal(err)
	}
	own := newSecrets(a.issue(t, leaf(cart)), nil)
	for name, src := range map[string]*corev3.DataSource{
		"bytes":  {Specifier: &corev3.DataSource_InlineBytes{InlineBytes: a.pem()}},
		"string": {Specifier: &corev3.DataSource_InlineString{InlineString: string(a.pem())}},
		"file":   {Specifier: &corev3.DataSource_Filename{Filename: file}},
	} {
		ctx := strictServer(t)
		ctx.CommonTlsContext.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContext{
			ValidationContext: &tlsv3.CertificateValidationContext{TrustedCa: src},
		}
		srv := mustServer(t, ctx, own)
		cli := mustClient(t, exactClient(t, cart), newSecrets(a.issue(t, leaf(admin)), a.pool()))
		if _, _, serr, cerr := handshake(t, srv, cli); serr != nil || cerr != nil {
			t.Errorf("%s: %v, %v", name, serr, cerr)
		}
	}
}

func TestBundleFromSecret(t *testing.T) {
	a := newAuthority(t)
	secret := func(pem []byte) *tlsv3.Secret {
		return &tlsv3.Secret{Name: "bundle|mesh.example", Type: &tlsv3.Secret_ValidationContext{
			ValidationContext: &tlsv3.CertificateValidationContext{TrustedCa: &corev3.DataSource{
				Specifier: &corev3.DataSource_InlineBytes{InlineBytes: pem}}}}}
	}
	if p, err := BundleFromSecret(secret(a.pem())); err != nil || !p.Equal(a.pool()) {
		t.Error(err)
	}
	more := secret(a.pem())
	more.GetValidationContext().AllowExpiredCertificate = true
	leafPEM := bytes.ReplaceAll(a.pem(), []byte("CERTIFICATE"), []byte("PRIVATE KEY"))
	for name, s := range map[string]*tlsv3.Secret{
		"more than roots": more, "empty": secret(nil), "not PEM": secret([]byte("x")), "another PEM type": secret(leafPEM),
		"trailing text": secret(append(a.pem(), "tail"...)), "nothing": {Name: "x"},
		"no source": {Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{}}},
	} {
		if _, err := BundleFromSecret(s); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestSecretNames(t *testing.T) {
	got := SecretNames(exactClient(t, cart))
	if len(got) != 2 || got[0].Name != "default" || got[0].Kind != KindCertificate ||
		got[1].Name != "bundle|mesh.example" || got[1].Kind != KindBundle {
		t.Errorf("%+v", got)
	}
	got = SecretNames(downstream(t, `{"commonTlsContext":{"validationContextSdsSecretConfig":{"name":"ROOTCA"}}}`))
	if len(got) != 1 || got[0].Name != "ROOTCA" {
		t.Errorf("%+v", got)
	}
}

func refused(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one about %q", err, want)
	}
}
