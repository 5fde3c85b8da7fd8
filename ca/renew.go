package ca

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/ca/audit"
	"github.com/meshc/meshc/ca/slots"
	"github.com/meshc/meshc/ca/validate"
)

// ErrForgeable is the answer to who renews by a certificate that this authority has no
// record of, while others may know the key that it is signed with.
var ErrForgeable = errors.New("others may know the key that has signed this certificate, and there is no record that it was issued here: a token is needed")

// renewing verifies the certificate that a caller renews.
func (a *Authority) renewing(chain []*x509.Certificate) (spiffeid.ID, error) {
	id, err := validate.SVID(chain, a.roots, a.cfg.Now())
	if err != nil {
		return spiffeid.ID{}, err
	}
	return id, a.genuine(chain, id)
}

// Genuine says whether a certificate chain, leaf first, is certainly this authority's
// work: no tainted key has a part in it, or it is in the audit log. Whoever has stolen
// a key signs what looks the same.
func (a *Authority) Genuine(chain []*x509.Certificate) bool {
	if len(chain) == 0 || len(chain[0].URIs) != 1 {
		return false
	}
	id, err := spiffeid.FromURI(chain[0].URIs[0])
	return err == nil && a.genuine(chain, id) == nil
}

func (a *Authority) genuine(chain []*x509.Certificate, id spiffeid.ID) error {
	now := a.cfg.Now()
	if !a.source.suspects(chain, now) {
		return nil
	}
	leaf := chain[0]
	since := leaf.NotBefore
	if oldest := now.Add(-MaxTTL); since.Before(oldest) {
		since = oldest
	}
	r, ok, err := a.log.Issued(leaf.SerialNumber.Text(16), since, now)
	if err != nil {
		return fmt.Errorf("%w (%w)", ErrForgeable, err)
	}
	if !ok || r.SPIFFEID != id.String() || r.PublicKey != audit.Fingerprint(leaf.PublicKey) || !r.NotAfter.Equal(leaf.NotAfter) {
		return ErrForgeable
	}
	return nil
}

// tainted is what an own authority trusts still although others may know the keys.
type tainted struct {
	certs []*x509.Certificate // of roots and issuers
	sound []*x509.Certificate // the roots that are not among them
}

func taintedOf(b *slots.Book) *tainted {
	t := &tainted{}
	for _, s := range b.Slots {
		switch {
		case s.Tainted && s.X509() != nil:
			t.certs = append(t.certs, s.X509())
		case s.Kind == slots.Root:
			t.sound = append(t.sound, s.X509())
		}
	}
	return t
}

// suspects implements source.
func (o *own) suspects(chain []*x509.Certificate, now time.Time) bool {
	t := o.tainted.Load()
	if len(t.certs) == 0 {
		return false
	}
	for _, c := range chain[1:] {
		if slices.ContainsFunc(t.certs, func(bad *x509.Certificate) bool {
			return bytes.Equal(bad.RawSubjectPublicKeyInfo, c.RawSubjectPublicKeyInfo)
		}) {
			return true
		}
	}
	_, err := validate.SVID(chain, x509bundle.FromX509Authorities(o.td, t.sound), now)
	return err != nil
}
