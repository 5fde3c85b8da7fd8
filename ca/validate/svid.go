package validate

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// Limits that are checked before signatures are.
const (
	maxChain      = 4
	maxChainBytes = 16 << 10
	maxNames      = 16
)

var oidKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 15}

// SVID verifies chain (leaf first) at the time now by the X509-SVID
// specification, sections 4 and 5, and returns the identity. go-spiffe checks
// the signatures, validity and the one URI SAN; what it leaves open (path of
// the ID, key usage, extended key usage, names of intermediates, sizes) is
// checked here.
func SVID(chain []*x509.Certificate, roots x509bundle.Source, now time.Time) (spiffeid.ID, error) {
	if err := checkSize(chain); err != nil {
		return spiffeid.ID{}, err
	}
	id, _, err := x509svid.Verify(chain, roots, x509svid.WithTime(now))
	if err != nil {
		return spiffeid.ID{}, err
	}
	if err := checkLeaf(chain[0], id); err != nil {
		return spiffeid.ID{}, fmt.Errorf("certificate of %q: %w", id, err)
	}
	for _, c := range chain[1:] {
		if err := Authority(c, id.TrustDomain()); err != nil {
			return spiffeid.ID{}, fmt.Errorf("certificate of %q: intermediate: %w", id, err)
		}
	}
	return id, nil
}

// Authority checks the form of a signing certificate of trust domain td
// (X509-SVID section 3 and 4): CA:TRUE, keyCertSign, and no URI SAN but the
// trust domain's own SPIFFE ID.
func Authority(c *x509.Certificate, td spiffeid.TrustDomain) error {
	switch {
	case !c.BasicConstraintsValid || !c.IsCA:
		return errors.New("not an authority's certificate (CA:TRUE is missing)")
	case c.KeyUsage&x509.KeyUsageCertSign == 0:
		return errors.New("key usage keyCertSign is missing")
	case !critical(c, oidKeyUsage):
		return errors.New("key usage is not critical")
	case len(c.URIs) > 1:
		return fmt.Errorf("%d URI SANs, want at most one", len(c.URIs))
	}
	if len(c.URIs) == 1 && c.URIs[0].String() != td.IDString() {
		return fmt.Errorf("it is an authority of %q, not of %q", c.URIs[0], td.IDString())
	}
	return nil
}

// Issuance is what a new certificate must say.
type Issuance struct {
	ID        spiffeid.ID
	PublicKey crypto.PublicKey
	NotAfter  time.Time // the latest that is allowed
}

// Issued checks a certificate that the authority is about to hand out: it is
// a valid SVID and says exactly what was decided, no name or use more.
func Issued(chain []*x509.Certificate, roots x509bundle.Source, now time.Time, want Issuance) error {
	id, err := SVID(chain, roots, now)
	if err != nil {
		return err
	}
	leaf := chain[0]
	key, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	switch {
	case id != want.ID:
		return fmt.Errorf("certificate is for %q, not for %q", id, want.ID)
	case !ok || !key.Equal(want.PublicKey):
		return errors.New("certificate is for another public key")
	case len(leaf.DNSNames)+len(leaf.EmailAddresses)+len(leaf.IPAddresses) != 0 || leaf.Subject.CommonName != "":
		return errors.New("certificate names more than the SPIFFE ID")
	case len(leaf.ExtKeyUsage) != 2 || len(leaf.UnknownExtKeyUsage) != 0:
		return errors.New("certificate has extended key usages other than server and client authentication")
	case leaf.KeyUsage != x509.KeyUsageDigitalSignature:
		return errors.New("certificate has key usages other than digitalSignature")
	case leaf.SerialNumber.Sign() <= 0 || leaf.SerialNumber.BitLen() > 159:
		return errors.New("certificate has a serial number outside RFC 5280 section 4.1.2.2")
	case leaf.NotAfter.After(want.NotAfter):
		return fmt.Errorf("certificate ends at %s, after %s", leaf.NotAfter, want.NotAfter)
	}
	return nil
}

func checkLeaf(leaf *x509.Certificate, id spiffeid.ID) error {
	if _, err := SPIFFEID(id.String()); err != nil {
		return err
	}
	switch {
	case id.Path() == "":
		return errors.New("it names a trust domain, not a workload")
	case leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return errors.New("key usage digitalSignature is missing")
	case !critical(leaf, oidKeyUsage):
		return errors.New("key usage is not critical")
	}
	// Section 4.4: the extension may be absent; with it, both uses must be in.
	if len(leaf.ExtKeyUsage)+len(leaf.UnknownExtKeyUsage) == 0 {
		return nil
	}
	for _, use := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		if !slices.Contains(leaf.ExtKeyUsage, use) {
			return errors.New("extended key usage lacks server or client authentication")
		}
	}
	return nil
}

func checkSize(chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return errors.New("empty certificate chain")
	}
	if len(chain) > maxChain {
		return fmt.Errorf("chain of %d certificates, more than %d", len(chain), maxChain)
	}
	size := 0
	for _, c := range chain {
		size += len(c.Raw)
		if n := len(c.DNSNames) + len(c.EmailAddresses) + len(c.IPAddresses) + len(c.URIs); n > maxNames {
			return fmt.Errorf("certificate with %d names, more than %d", n, maxNames)
		}
	}
	if size > maxChainBytes {
		return fmt.Errorf("chain of %d bytes, more than %d", size, maxChainBytes)
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
