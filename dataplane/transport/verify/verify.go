// Package verify decides whether a peer's certificate chain is a valid
// X.509-SVID of a trusted authority: chain and roots in, SPIFFE ID out. Every
// doubt is an error.
package verify

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// Limits that are checked before any signature is, because the cost of
// building chains grows with what the peer sends.
const (
	MaxChain      = 4        // certificates
	MaxChainBytes = 16 << 10 // DER bytes of the whole chain
	MaxNames      = 16       // names of any kind in the leaf
	maxIDBytes    = 2048     // SPIFFE-ID section 2.3
)

var (
	oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidKeyUsage       = asn1.ObjectIdentifier{2, 5, 29, 15}
)

const tagURI = 6 // RFC 5280 GeneralName uniformResourceIdentifier

// Chain verifies certs (leaf first) against roots at the time now for one of
// the usages x509.ExtKeyUsageClientAuth and x509.ExtKeyUsageServerAuth, by the
// rules of the X509-SVID specification (section 4 and 5), and returns the
// peer's SPIFFE ID.
func Chain(certs []*x509.Certificate, roots *x509.CertPool, usage x509.ExtKeyUsage, now time.Time) (spiffeid.ID, error) {
	if err := Size(certs); err != nil {
		return spiffeid.ID{}, err
	}
	if roots == nil {
		return spiffeid.ID{}, errors.New("no trust bundle to verify the peer against")
	}
	id, err := Leaf(certs[0])
	if err != nil {
		return spiffeid.ID{}, err
	}
	intermediates := x509.NewCertPool()
	for _, c := range certs[1:] {
		intermediates.AddCert(c)
	}
	chains, err := certs[0].Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: intermediates,
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{usage},
	})
	if err != nil {
		return spiffeid.ID{}, fmt.Errorf("certificate of %q: %w", id, err)
	}
	if !slices.ContainsFunc(chains, func(c []*x509.Certificate) bool {
		of := AuthorityOf(c[len(c)-1])
		return of == "" || of == id.TrustDomain().Name()
	}) {
		return spiffeid.ID{}, fmt.Errorf("certificate of %q: its root is an authority of another trust domain", id)
	}
	return id, nil
}

// AuthorityOf is the trust domain that a root says it is of, by its SPIFFE ID
// (X509-SVID section 3); "" when it says none.
func AuthorityOf(root *x509.Certificate) string {
	if len(root.URIs) != 1 || !strings.EqualFold(root.URIs[0].Scheme, "spiffe") {
		return ""
	}
	return root.URIs[0].Host
}

// Outside verifies certs (leaf first) of a peer outside the mesh against roots at
// the time now, by RFC 5280. A SPIFFE ID in the leaf is an error: an identity of
// a mesh is the mesh's authority's to give.
func Outside(certs []*x509.Certificate, roots *x509.CertPool, usage x509.ExtKeyUsage, now time.Time) error {
	if err := Size(certs); err != nil {
		return err
	}
	if roots == nil {
		return errors.New("no authorities to verify the peer against")
	}
	uris, err := rawURIs(certs[0])
	if err != nil {
		return err
	}
	for _, u := range uris {
		if len(u) >= len(spiffeScheme) && strings.EqualFold(string(u[:len(spiffeScheme)]), spiffeScheme) {
			return fmt.Errorf("certificate from outside the mesh has the SPIFFE ID %q", u)
		}
	}
	intermediates := x509.NewCertPool()
	for _, c := range certs[1:] {
		intermediates.AddCert(c)
	}
	_, err = certs[0].Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: intermediates,
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{usage},
	})
	return err
}

const spiffeScheme = "spiffe:"

// Leaf checks what an X.509-SVID leaf must look like, without its signature,
// and returns its SPIFFE ID.
func Leaf(leaf *x509.Certificate) (spiffeid.ID, error) {
	id, err := ID(leaf)
	if err != nil {
		return spiffeid.ID{}, err
	}
	switch {
	case id.Path() == "":
		return spiffeid.ID{}, fmt.Errorf("SPIFFE ID %q names a trust domain, not a workload", id)
	case leaf.IsCA:
		return spiffeid.ID{}, fmt.Errorf("certificate of %q is an authority's (CA:TRUE)", id)
	case leaf.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0:
		return spiffeid.ID{}, fmt.Errorf("certificate of %q may sign certificates or revocation lists", id)
	case leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return spiffeid.ID{}, fmt.Errorf("certificate of %q lacks the key usage digitalSignature", id)
	case !critical(leaf, oidKeyUsage):
		return spiffeid.ID{}, fmt.Errorf("certificate of %q has a key usage that is not critical", id)
	}
	return id, nil
}

// ID returns the SPIFFE ID in the one URI SAN of leaf. It reads the bytes of
// the extension: a parsed URL no longer shows the case of the scheme or an
// empty fragment, and the other data plane compares bytes.
func ID(leaf *x509.Certificate) (spiffeid.ID, error) {
	if n := len(leaf.DNSNames) + len(leaf.EmailAddresses) + len(leaf.IPAddresses) + len(leaf.URIs); n > MaxNames {
		return spiffeid.ID{}, fmt.Errorf("certificate has %d names, more than %d", n, MaxNames)
	}
	uris, err := rawURIs(leaf)
	if err != nil {
		return spiffeid.ID{}, err
	}
	if len(uris) != 1 {
		return spiffeid.ID{}, fmt.Errorf("certificate has %d URI SANs, want exactly one", len(uris))
	}
	if len(uris[0]) > maxIDBytes {
		return spiffeid.ID{}, fmt.Errorf("SPIFFE ID has %d bytes, more than %d", len(uris[0]), maxIDBytes)
	}
	id, err := spiffeid.FromString(string(uris[0]))
	if err != nil {
		return spiffeid.ID{}, fmt.Errorf("URI SAN %q: %w", uris[0], err)
	}
	return id, nil
}

// Size refuses chains that are too long or too large, and none at all.
func Size(certs []*x509.Certificate) error {
	if len(certs) == 0 {
		return errors.New("peer sent no certificate")
	}
	if len(certs) > MaxChain {
		return fmt.Errorf("peer sent %d certificates, more than %d", len(certs), MaxChain)
	}
	size := 0
	for _, c := range certs {
		size += len(c.Raw)
	}
	if size > MaxChainBytes {
		return fmt.Errorf("peer sent %d bytes of certificates, more than %d", size, MaxChainBytes)
	}
	return nil
}

func critical(c *x509.Certificate, oid asn1.ObjectIdentifier) bool {
	for _, e := range c.Extensions {
		if e.Id.Equal(oid) {
			return e.Critical
		}
	}
	return false
}

func rawURIs(c *x509.Certificate) ([][]byte, error) {
	var uris [][]byte
	for _, e := range c.Extensions {
		if !e.Id.Equal(oidSubjectAltName) {
			continue
		}
		var names []asn1.RawValue
		if rest, err := asn1.Unmarshal(e.Value, &names); err != nil || len(rest) != 0 {
			return nil, errors.New("certificate has a malformed subject alternative name")
		}
		for _, n := range names {
			if n.Class == asn1.ClassContextSpecific && n.Tag == tagURI {
				uris = append(uris, bytes.Clone(n.Bytes))
			}
		}
	}
	return uris, nil
}
