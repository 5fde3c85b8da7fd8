package ca

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"time"
)

// source is where the authority's issuer comes from. What it trusts, it puts into
// the authority's bundle.
type source interface {
	// current is what signs at the time now.
	current(now time.Time) (*issuing, error)
	// token says that a token was signed that is good until a time.
	token(until time.Time)
	// status tells of the keys without them.
	status(now time.Time) (*Status, error)
	// rotate and taint begin a change of keys.
	rotate(kind string, now time.Time) error
	taint(name, reason string, now time.Time) error
	// suspects says whether a key that others may know has a part in a chain that is
	// valid, leaf first.
	suspects(chain []*x509.Certificate, now time.Time) bool
	// run keeps the keys fresh until ctx ends.
	run(ctx context.Context)
}

// issuing is what signs.
type issuing struct {
	name   string // of the issuer's key; "" = it has none
	signer crypto.Signer
	chain  []*x509.Certificate // the issuer, then what is between it and its root
	root   *x509.Certificate

	jwtID string // "" = there is no key for tokens
	jwt   crypto.Signer
}

func (i *issuing) certificate() *x509.Certificate { return i.chain[0] }

// newName names a key. No name is used twice, because 64 random bits are in it.
func newName(kind string) (string, error) {
	b := make([]byte, 8)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("name of a key: %w", err)
	}
	return kind + "-" + hex.EncodeToString(b), nil
}

func halfOver(c *x509.Certificate, now time.Time) bool {
	return now.After(c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) / 2))
}

func checkTime(c *x509.Certificate, now time.Time) error {
	if now.Before(c.NotBefore) {
		return fmt.Errorf("it is not valid before %s", c.NotBefore)
	}
	if now.After(c.NotAfter) {
		return fmt.Errorf("it ended at %s", c.NotAfter)
	}
	return nil
}
