package interop

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/meshc/meshc/compiler/model"
)

// tlsMesh has one caller; its externals are made from cases.
const tlsMesh = `package mesh

service: web: {versions: v1: {}, uses: {%s}}
`

// tlsExternal has each request on a connection of its own, so that a new
// certificate is seen by the next one.
const tlsExternal = `external: %s: {
	host: "%[1]s.test"
	ports: https: {number: 443, protocol: "http"}
	endpoints: ["%s"]
	traffic: connections: requestsPerConnection: 1
	tls: {sni: "sni.test", %s}
}
`

func compileText(t *testing.T, text string) *model.Mesh {
	t.Helper()
	return compileFS(t, fstest.MapFS{
		"cue.mod/module.cue": {Data: []byte("module: \"mesh.test\"\nlanguage: version: \"v0.17.0\"\n")},
		"mesh.cue":           {Data: []byte("package mesh\n\nimport m \"meshc.dev/mesh\"\n\nmesh: m.#Config\nservice: m.#Services\ngateway: m.#Gateways\nexternal: m.#Externals\n")},
		"a.cue":              {Data: []byte(text)},
	})
}

// TestExternalsAreVerified: whom both proxies talk to is whom the language says.
func TestExternalsAreVerified(t *testing.T) {
	soon := time.Now().Add(time.Hour).Format(time.RFC3339)
	cases := []struct {
		name, cert, tls string
		status          int
	}{
		{"its name", "a.test", `sans: ["a.test"], minVersion: "1.3", ca: file: "right.pem"`, 200},
		{"a secret", "a.test", `sans: ["a.test"], ca: secret: "right"`, 200},
		{"a wildcard", "*.test", `sans: ["a.test"], ca: file: "right.pem"`, 200},
		{"a wildcard is one label", "*.test", `sans: ["b.a.test"], ca: file: "right.pem"`, 503},
		{"one of several", "b.test", `sans: ["a.test", "b.test"], ca: file: "right.pem"`, 200},
		{"another name", "b.test", `sans: ["a.test"], ca: file: "right.pem"`, 503},
		{"another authority", "a.test", `sans: ["a.test"], ca: file: "foreign.pem"`, 503},
		{"authorities of the machine", "a.test", `sans: ["a.test"]`, 503},
		{"a certificate for itself, and not verified for a while", "b.test", `sans: ["a.test"], ca: file: "foreign.pem", mode: "mutual", certificate: secret: "client", insecure: {reason: "test", until: "` + soon + `"}`, 200},
		{"not verified for a while", "b.test", `sans: ["a.test"], ca: file: "foreign.pem", insecure: {reason: "test", until: "` + soon + `"}`, 200},
	}
	_, foreign := webCertificate(t, "a.test")
	backs := newBackends()
	var uses, externals string
	var right []byte
	for i, c := range cases {
		certificate, root := webCertificate(t, c.cert)
		right = append(right, root...)
		name := fmt.Sprintf("x%d", i)
		uses += name + ": {}, "
		externals += fmt.Sprintf(tlsExternal, name, backs.start(t, name, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}), c.tls)
	}
	for _, k := range kinds {
		t.Run(string(k), func(t *testing.T) {
			m := compileText(t, fmt.Sprintf(tlsMesh, uses)+externals)
			b := newBed(t, m)
			b.backends = backs
			b.plane.secret("right.pem", right)
			b.plane.secret("right/ca.crt", right)
			b.plane.secret("foreign.pem", foreign)
			b.plane.clientPair(t, "client.test")
			b.sidecar(ref("web"), "v1", k, "")
			b.run()
			for i, c := range cases {
				at := b.placed["web-"+string(k)].Outbound[model.OutboundKey(ref(fmt.Sprintf("x%d", i)), 443)]
				id := fmt.Sprintf("tls-%s-%d", k, i)
				if res := send(at, nil, &request{target: "/"}, id); res.Status != c.status {
					t.Errorf("%s: status %d (%s), want %d", c.name, res.Status, res.Err, c.status)
				}
				if got := backs.got(id); c.status == 200 && (len(got) != 1 || got[0].SNI != "sni.test") {
					t.Errorf("%s: the server saw %+v", c.name, got)
				}
			}
			for _, x := range b.all() {
				x.refusedNothing()
			}
		})
	}
}

// TestClientCertificates: a server that asks for a certificate gets the one that
// is named, as the directory of secrets has it now; so do those who vouch for it.
func TestClientCertificates(t *testing.T) {
	for _, k := range kinds {
		t.Run(string(k), func(t *testing.T) { clientCertificates(t, k) })
	}
}

func clientCertificates(t *testing.T, k kind) {
	s := newDemanding(t)
	at := s.start(t)
	m := compileText(t, fmt.Sprintf(tlsMesh, "named: {}, filed: {}, silent: {}")+
		fmt.Sprintf(tlsExternal, "named", at, `sans: ["bank.test"], ca: secret: "bank", mode: "mutual", certificate: secret: "client"`)+
		fmt.Sprintf(tlsExternal, "filed", at, `sans: ["bank.test"], ca: file: "bank/ca.crt", mode: "mutual", certificate: file: "client/both.pem"`)+
		fmt.Sprintf(tlsExternal, "silent", at, `sans: ["bank.test"], ca: secret: "bank"`))
	b := newBed(t, m)
	b.backends = s.backends
	b.plane.secret("bank/ca.crt", s.roots)
	first := b.plane.clientPair(t, "first.test")
	b.sidecar(ref("web"), "v1", k, "")
	b.run()
	asks := 0
	ask := func(name string) int {
		asks++
		to := b.placed["web-"+string(k)].Outbound[model.OutboundKey(ref(name), 443)]
		return send(to, nil, &request{target: "/"}, fmt.Sprintf("cc-%s-%d", k, asks)).Status
	}
	for _, name := range []string{"named", "filed"} {
		s.shown.Store(nil)
		if status := ask(name); status != http.StatusOK || !s.saw(first) {
			t.Errorf("%s: status %d; the server saw the certificate: %v", name, status, s.saw(first))
		}
	}
	if status := ask("silent"); status != http.StatusServiceUnavailable {
		t.Errorf("without a certificate: status %d", status)
	}
	second := b.plane.clientPair(t, "second.test")
	for _, name := range []string{"named", "filed"} {
		b.until(func() bool { return ask(name) == http.StatusOK && s.saw(second) }, "the server sees the new certificate of "+name)
	}
	s.renew(t, b)
	for _, name := range []string{"named", "filed"} {
		b.until(func() bool { return ask(name) == http.StatusOK }, "the new authority counts for "+name)
	}
	for _, x := range b.all() {
		x.refusedNothing()
	}
}

// until asks again and again until ok says so.
func (b *bed) until(ok func() bool, what string) {
	b.t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			b.t.Fatalf("not within %s: %s", patience, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// clientPair makes a certificate for clients, as the secret "client" and as one file.
func (p *plane) clientPair(t *testing.T, name string) []byte {
	t.Helper()
	certificate, chain := webCertificate(t, name)
	der, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	p.secret("client/tls.crt", chain)
	p.secret("client/tls.key", key)
	p.secret("client/both.pem", append(bytes.Clone(chain), key...))
	return certificate.Certificate[0]
}

// demanding is a server that asks its clients for a certificate, any, and
// remembers the last.
type demanding struct {
	*backends
	current atomic.Pointer[tls.Certificate]
	shown   atomic.Pointer[[]byte]
	roots   []byte
}

func newDemanding(t *testing.T) *demanding {
	t.Helper()
	s := &demanding{backends: newBackends()}
	certificate, roots := webCertificate(t, "bank.test")
	s.current.Store(&certificate)
	s.roots = roots
	return s
}

func (s *demanding) start(t *testing.T) string {
	t.Helper()
	return s.backends.start(t, "bank", &tls.Config{
		MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAnyClientCert,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.current.Load(), nil },
		VerifyConnection: func(c tls.ConnectionState) error {
			s.shown.Store(&c.PeerCertificates[0].Raw)
			return nil
		},
	})
}

func (s *demanding) saw(certificate []byte) bool {
	shown := s.shown.Load()
	return shown != nil && bytes.Equal(*shown, certificate)
}

// renew has the server show a certificate of another authority, which proxies
// are told of.
func (s *demanding) renew(t *testing.T, b *bed) {
	t.Helper()
	certificate, roots := webCertificate(t, "bank.test")
	s.current.Store(&certificate)
	b.plane.secret("bank/ca.crt", roots)
}
