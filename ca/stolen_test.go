package ca_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/meshc/meshc/ca"
	"github.com/meshc/meshc/ca/catest"
)

// shifted is a clock that is set by hand.
type shifted struct{ by atomic.Int64 }

func (s *shifted) now() time.Time      { return time.Now().Add(time.Duration(s.by.Load())) }
func (s *shifted) add(d time.Duration) { s.by.Add(int64(d)) }

func keyOf(t testing.TB, s *ca.Status, kind, state string) ca.Key {
	t.Helper()
	for _, k := range s.Keys {
		if k.Kind == kind && k.State == state {
			return k
		}
	}
	t.Fatalf("no %s is %s", kind, state)
	return ca.Key{}
}

func statusOf(t testing.TB, a *ca.Authority) *ca.Status {
	t.Helper()
	s, err := a.Status()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// thief has read the key of a file of the authority.
type thief struct {
	key    crypto.Signer
	issuer *x509.Certificate
}

func steal(t testing.TB, srv *catest.Server, dir string) thief {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "keys", keyOf(t, statusOf(t, srv.Authority), "issuer", "active").Name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	own, err := srv.ControllerCertificate()
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := x509.ParseCertificate(own.Certificate[1])
	if err != nil {
		t.Fatal(err)
	}
	return thief{key.(crypto.Signer), issuer}
}

// forge makes a certificate of admin that nobody can tell from a good one; like is
// what it copies the serial number and the end from, nil for none.
func (h thief) forge(t testing.TB, now time.Time, like *x509.Certificate) *tls.Certificate {
	t.Helper()
	id, err := url.Parse(admin)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), URIs: []*url.URL{id}, NotBefore: now.Add(-time.Minute), NotAfter: now.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	if like != nil {
		tmpl.SerialNumber, tmpl.NotAfter = like.SerialNumber, like.NotAfter
	}
	key := newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, tmpl, h.issuer, key.Public(), h.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der, h.issuer.Raw}, PrivateKey: key}
}

// A key that was stolen makes certificates that nobody can tell from good ones. Once
// it is tainted they get nothing under the next root, in any phase and after a restart
// of the authority; who was really issued one renews it, and who has a token gets one.
func TestAStolenKeyGetsNothingUnderTheNextRoot(t *testing.T) {
	for _, kind := range []string{"issuer", "root"} {
		t.Run(kind, func(t *testing.T) {
			c := &shifted{}
			dir := filepath.Join(t.TempDir(), "ca")
			srv := catest.Run(t, ca.Config{Dir: dir, Now: c.now})
			key := newKey(t)
			first, err := client(t, srv, nil).CreateCertificate(withToken(context.Background(), mint(t, srv, admin)), asking(t, key))
			if err != nil {
				t.Fatal(err)
			}
			good := certificate(t, srv, key, first, admin)
			leaf, err := x509.ParseCertificate(good.Certificate[0])
			if err != nil {
				t.Fatal(err)
			}
			h := steal(t, srv, dir)
			if _, err := client(t, srv, h.forge(t, c.now(), nil)).CreateCertificate(context.Background(), asking(t, newKey(t))); err != nil {
				t.Fatalf("the test forges badly: %v", err)
			}
			if err := srv.Taint(keyOf(t, statusOf(t, srv.Authority), kind, "active").Name, "stolen"); err != nil {
				t.Fatal(err)
			}
			for _, phase := range []string{"distribute", "reissue", "restarted"} {
				switch phase {
				case "reissue":
					c.add(6 * time.Second)
					if _, err := srv.ControllerCertificate(); err != nil {
						t.Fatal(err)
					}
				case "restarted":
					srv = catest.Run(t, ca.Config{Dir: dir, Now: c.now})
				}
				if r := statusOf(t, srv.Authority).Rotation; r == nil || r.Phase != phase && phase != "restarted" {
					t.Fatalf("%s: %+v", phase, r)
				}
				for _, like := range []*x509.Certificate{nil, leaf} {
					forged := h.forge(t, c.now(), like)
					_, err := client(t, srv, forged).CreateCertificate(context.Background(), asking(t, newKey(t)))
					if status.Code(err) != codes.Unauthenticated {
						t.Errorf("%s: what was forged got a certificate: %v", phase, err)
					}
				}
				if _, err := client(t, srv, good).CreateCertificate(context.Background(), asking(t, newKey(t))); err != nil {
					t.Errorf("%s: what was issued is not renewed: %v", phase, err)
				}
				if _, err := client(t, srv, nil).CreateCertificate(withToken(context.Background(), mint(t, srv, admin)), asking(t, newKey(t))); err != nil {
					t.Errorf("%s: a token is not taken: %v", phase, err)
				}
			}
		})
	}
}
