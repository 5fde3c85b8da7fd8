package e2e

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const spiffePrefix = "spiffe://cluster.local/ns/default/sa/"

// reviewsPort is what the inbound listener of reviews v1 is bound to.
func reviewsPort(m *mesh) string { return m.workload("reviews-v1-0").Inbound[9080] }

// ask sends one request and gives the status of the answer.
func ask(conn net.Conn, method, path string) (int, error) {
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return 0, err
	}
	if _, err := fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: any\r\nConnection: close\r\n\r\n", method, path); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// identity is key and certificate of a workload of the mesh.
func (m *mesh) identity(workload string) tls.Certificate {
	m.t.Helper()
	file := filepath.Join(m.state(), "proxies", "sidecar-default."+workload, "identity", "svid.pem")
	raw, err := os.ReadFile(file)
	if err != nil {
		m.t.Fatal(err)
	}
	cert, err := tls.X509KeyPair(raw, raw)
	if err != nil {
		m.t.Fatal(err)
	}
	return cert
}

// mutual asks the sidecar of reviews with a certificate.
func mutual(t *testing.T, m *mesh, cert tls.Certificate, method string) (status int, server string, err error) {
	t.Helper()
	conn := tls.Client(dial(t, reviewsPort(m)), &tls.Config{
		Certificates:       []tls.Certificate{cert},
		InsecureSkipVerify: true, // the name in the certificate is looked at below
		MinVersion:         tls.VersionTLS12,
	})
	status, err = ask(conn, method, "/reviews/0")
	for _, c := range conn.ConnectionState().PeerCertificates[:min(1, len(conn.ConnectionState().PeerCertificates))] {
		for _, u := range c.URIs {
			server = u.String()
		}
	}
	return status, server, err
}

// In strict mode a sidecar answers identities of the mesh alone, and of those
// the ones that allow names; its log names them.
func TestWhoMayAsk(t *testing.T) {
	m := started(t)
	if status, err := ask(dial(t, reviewsPort(m)), "GET", "/reviews/0"); err == nil {
		t.Errorf("a client without TLS got an answer: %d", status)
	}
	if status, _, err := mutual(t, m, impostor(t), "GET"); err == nil {
		t.Errorf("a certificate that its owner signed got an answer: %d", status)
	}
	if status, _, err := mutual(t, m, tls.Certificate{}, "GET"); err == nil {
		t.Errorf("a client without a certificate got an answer: %d", status)
	}
	for _, c := range []struct {
		workload, method string
		want             int
	}{
		{"productpage-v1-0", "GET", http.StatusOK},
		{"productpage-v1-0", "POST", http.StatusForbidden},
		{"details-v1-0", "GET", http.StatusForbidden},
		{"reviews-v2-0", "GET", http.StatusForbidden},
	} {
		got, server, err := mutual(t, m, m.identity(c.workload), c.method)
		if err != nil || got != c.want {
			t.Errorf("%s %s: status %d, %v; want %d", c.workload, c.method, got, err, c.want)
		}
		if server != spiffePrefix+"reviews" {
			t.Errorf("the server showed %q", server)
		}
	}
	log := filepath.Join(m.state(), "logs", "sidecar-reviews-v1-0.log")
	m.eventually("the log names who asked", func() error {
		raw, err := os.ReadFile(log)
		if err != nil {
			return err
		}
		for _, c := range []struct{ status, who string }{{"200", "productpage"}, {"403", "productpage"}, {"403", "details"}, {"403", "reviews"}} {
			if !hasLine(string(raw), c.status, spiffePrefix+c.who) {
				return fmt.Errorf("no line with %s and %s", c.status, spiffePrefix+c.who)
			}
		}
		return nil
	})
}

// impostor is a certificate with the right name that no authority of the mesh
// has signed.
func impostor(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, err := url.Parse(spiffePrefix + "productpage")
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), URIs: []*url.URL{id},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
