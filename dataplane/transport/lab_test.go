package transport

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/encoding/protojson"
)

const (
	cart  = "spiffe://mesh.example/ns/shop/sa/cart"
	admin = "spiffe://mesh.example/ns/shop/sa/admin"
)

// authority signs whatever a test wants.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sign(t testing.TB, tmpl, parent *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) *x509.Certificate {
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

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key := newKey(t)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	return &authority{cert: sign(t, tmpl, tmpl, key.Public(), key), key: key}
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

func leaf(ids ...string) *x509.Certificate {
	var uris []*url.URL
	for _, id := range ids {
		u, err := url.Parse(id)
		if err != nil {
			panic(err)
		}
		uris = append(uris, u)
	}
	return &x509.Certificate{
		SerialNumber: big.NewInt(2), URIs: uris,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
}

func (a *authority) issue(t testing.TB, tmpl *x509.Certificate) *tls.Certificate {
	t.Helper()
	key := newKey(t)
	c := sign(t, tmpl, a.cert, key.Public(), a.key)
	return &tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key, Leaf: c}
}

func selfSigned(t testing.TB, tmpl *x509.Certificate) *tls.Certificate {
	t.Helper()
	key := newKey(t)
	c := sign(t, tmpl, tmpl, key.Public(), key)
	return &tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key, Leaf: c}
}

// secrets is a Secrets whose content a test can change.
type secrets struct {
	cert atomic.Pointer[tls.Certificate]
	pool atomic.Pointer[x509.CertPool]
}

func newSecrets(c *tls.Certificate, p *x509.CertPool) *secrets {
	s := &secrets{}
	s.cert.Store(c)
	s.pool.Store(p)
	return s
}

func (s *secrets) Certificate(name string) func() (*tls.Certificate, error) {
	return func() (*tls.Certificate, error) {
		if c := s.cert.Load(); c != nil && name == "default" {
			return c, nil
		}
		return nil, errors.New("no secret " + name)
	}
}

func (s *secrets) Bundle(string) func() *x509.CertPool { return s.pool.Load }

func downstream(t testing.TB, text string) *tlsv3.DownstreamTlsContext {
	t.Helper()
	m := &tlsv3.DownstreamTlsContext{}
	if err := protojson.Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	return m
}

func upstream(t testing.TB, text string) *tlsv3.UpstreamTlsContext {
	t.Helper()
	m := &tlsv3.UpstreamTlsContext{}
	if err := protojson.Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	return m
}

const (
	ownCert = `"tlsCertificateSdsSecretConfigs":[{"name":"default"}]`
	mtls    = `"combinedValidationContext":{"defaultValidationContext":{%s},"validationContextSdsSecretConfig":{"name":"bundle|mesh.example"}}`
)

// handshake runs both sides over a loopback connection and exchanges one byte,
// because a TLS 1.3 client learns only then that the server refused it.
func handshake(t testing.TB, server, client *tls.Config) (serverState, clientState tls.ConnectionState, serverErr, clientErr error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			serverErr = err
			return
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		s := tls.Server(conn, server)
		if serverErr = s.Handshake(); serverErr == nil {
			serverState = s.ConnectionState()
			_, serverErr = s.Write([]byte{1})
		}
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	c := tls.Client(conn, client)
	if clientErr = c.Handshake(); clientErr == nil {
		clientState = c.ConnectionState()
		_, clientErr = c.Read(make([]byte, 1))
	}
	_ = conn.Close()
	<-done
	return serverState, clientState, serverErr, clientErr
}
