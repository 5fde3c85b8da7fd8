package benchreconcile

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/ca/sign"
	"github.com/meshc/meshc/ca/template"
)

const domain = "cluster.local"

// authority is a root and an issuer: the controller gets the issuer, as it would be
// mounted of a Secret, and the simulated proxies their certificates without asking.
type authority struct {
	t      *testing.T
	dir    string // of the issuer
	roots  *x509.CertPool
	pem    []byte // of the root
	issuer *x509.Certificate
	key    *ecdsa.PrivateKey // of the issuer
	leaf   *ecdsa.PrivateKey // of all proxies: making a thousand is no part of what is measured
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir(), roots: x509.NewCertPool()}
	td := spiffeid.RequireTrustDomainFromString(domain)
	var keys [3]*ecdsa.PrivateKey
	for i := range keys {
		var err error
		keys[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, err)
	}
	a.key, a.leaf = keys[1], keys[2]
	tmpl, err := template.Root(td, time.Now())
	must(t, err)
	root, err := sign.Certificate(tmpl, tmpl, keys[0].Public(), keys[0])
	must(t, err)
	tmpl, err = template.Issuer(td, root, time.Now())
	must(t, err)
	a.issuer, err = sign.Certificate(tmpl, root, a.key.Public(), keys[0])
	must(t, err)
	a.roots.AddCert(root)
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	must(t, err)
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw})
	for name, data := range map[string][]byte{
		"ca.crt": a.pem, "tls.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.issuer.Raw}),
		"tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	} {
		must(t, os.WriteFile(filepath.Join(a.dir, name), data, 0o440))
	}
	return a
}

// issue certifies a SPIFFE ID.
func (a *authority) issue(id string) tls.Certificate {
	a.t.Helper()
	tmpl, err := template.Workload(spiffeid.RequireFromString(id), a.issuer, time.Hour, time.Now())
	must(a.t, err)
	leaf, err := sign.Certificate(tmpl, a.issuer, a.leaf.Public(), a.key)
	must(a.t, err)
	return tls.Certificate{Certificate: [][]byte{leaf.Raw, a.issuer.Raw}, PrivateKey: a.leaf, Leaf: leaf}
}

// client is how a proxy reaches the server: it holds it to the roots, and to no name.
func (a *authority) client(id string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{a.issue(id)},
		InsecureSkipVerify: true, // a name of the host: servers have a SPIFFE ID
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			between := x509.NewCertPool()
			for _, der := range raw[1:] {
				if c, err := x509.ParseCertificate(der); err == nil {
					between.AddCert(c)
				}
			}
			leaf, err := x509.ParseCertificate(raw[0])
			if err != nil {
				return err
			}
			_, err = leaf.Verify(x509.VerifyOptions{Roots: a.roots, Intermediates: between})
			return err
		},
	}
}

// server is how an ADS server of this process listens.
func (a *authority) server() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{a.issue("spiffe://" + domain + "/ns/meshc-system/sa/meshc-controller")},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.roots,
	}
}
