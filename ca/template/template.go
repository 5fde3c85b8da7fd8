// Package template writes down what a certificate is going to say, from a
// decision and nothing else: no field of it comes from a requester.
package template

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// Lifetimes by convention of the mesh.
const (
	RootTTL   = 10 * 365 * 24 * time.Hour
	IssuerTTL = 365 * 24 * time.Hour
	LeafTTL   = time.Hour
)

// How far NotBefore lies in the past, for peers whose clock is slow, and for a clock
// of the authority that is set back. No certificate begins before the one above it.
const (
	Backdate          = 10 * time.Minute // of a workload's certificate
	AuthorityBackdate = 24 * time.Hour   // of a root and an issuer
)

// Root is the self-signed authority of a trust domain.
func Root(td spiffeid.TrustDomain, now time.Time) (*x509.Certificate, error) {
	t, err := authority(td, "meshc root", now.Add(-AuthorityBackdate), now.Add(RootTTL))
	if err != nil {
		return nil, err
	}
	t.MaxPathLen = 1
	return t, nil
}

// Issuer is the intermediate that signs workloads' certificates. It ends no
// later than root does, and can name nobody outside the trust domain (X509-SVID
// section 4.2: name constraints may be used on URIs).
func Issuer(td spiffeid.TrustDomain, root *x509.Certificate, now time.Time) (*x509.Certificate, error) {
	t, err := authority(td, "meshc issuer", later(now.Add(-AuthorityBackdate), root.NotBefore), earlier(now.Add(IssuerTTL), root.NotAfter))
	if err != nil {
		return nil, err
	}
	t.MaxPathLenZero = true
	if constrainable(td) {
		t.PermittedURIDomains = []string{td.Name()}
		t.PermittedDNSDomainsCritical = true
	}
	return t, nil
}

// constrainable says whether a name constraint on URIs can say td: it takes hosts
// by name (RFC 5280 section 4.2.1.10), no addresses and no empty labels.
func constrainable(td spiffeid.TrustDomain) bool {
	_, err := netip.ParseAddr(td.Name())
	return err != nil && !strings.Contains("."+td.Name()+".", "..")
}

// Workload is the X.509-SVID of id, valid for ttl but never longer than its
// issuer: one URI SAN, digitalSignature, server and client authentication.
func Workload(id spiffeid.ID, issuer *x509.Certificate, ttl time.Duration, now time.Time) (*x509.Certificate, error) {
	notAfter := earlier(now.Add(ttl), issuer.NotAfter)
	if !notAfter.After(now) {
		return nil, fmt.Errorf("no time left for a certificate of %q: its issuer ends at %s", id, issuer.NotAfter)
	}
	serial, err := serial()
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber:          serial,
		URIs:                  []*url.URL{id.URL()},
		NotBefore:             later(now.Add(-Backdate), issuer.NotBefore),
		NotAfter:              notAfter,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}, nil
}

func authority(td spiffeid.TrustDomain, name string, notBefore, notAfter time.Time) (*x509.Certificate, error) {
	serial, err := serial()
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{Organization: []string{"meshc"}, CommonName: name},
		URIs:                  []*url.URL{td.ID().URL()},
		NotBefore:             notBefore,
		NotAfter:              notAfter,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}, nil
}

// serial is 128 random bits with the highest set to 0 and the next to 1, so
// that it is positive and always 16 bytes long (RFC 5280 section 4.1.2.2).
func serial() (*big.Int, error) {
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		return nil, fmt.Errorf("serial number: %w", err)
	}
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b), nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
