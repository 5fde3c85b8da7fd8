// Package slots is what an authority knows of its own keys: which root and which
// issuer is prepared, which signs, and which is only trusted still. A Book is
// plain data, its methods are the only transitions, and a Journal keeps it on
// disk.
package slots

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Kind of a slot.
type Kind string

// Kinds.
const (
	Root   Kind = "root"   // self-signed, in the trust bundle
	Issuer Kind = "issuer" // signs workloads' certificates
	JWT    Kind = "jwt"    // signs JWT-SVIDs, in the trust bundle
)

// State of a slot. A slot goes from one to the next and never back.
type State string

// States.
const (
	Prepared State = "prepared" // trusted, does not sign yet
	Active   State = "active"   // signs
	Retired  State = "retired"  // trusted, signs no more
)

// Slot is one key and what is public of it.
type Slot struct {
	Kind    Kind      `json:"kind"`
	Name    string    `json:"name"` // of its key in the keystore; never used twice
	State   State     `json:"state"`
	Since   time.Time `json:"since"`
	Tainted bool      `json:"tainted,omitempty"` // its key may be known to others
	Parent  string    `json:"parent,omitempty"`  // of an issuer: the name of its root
	// Certificate is PEM; a JWT slot has PublicKey in its place (PKIX, PEM).
	Certificate string `json:"certificate,omitempty"`
	PublicKey   string `json:"publicKey,omitempty"`

	cert *x509.Certificate
	pub  crypto.PublicKey
}

// X509 is the certificate of a root or an issuer.
func (s *Slot) X509() *x509.Certificate { return s.cert }

// Public is the public key of a JWT slot.
func (s *Slot) Public() crypto.PublicKey { return s.pub }

// Rotation is a change of keys that is under way.
type Rotation struct {
	Kind   Kind      `json:"kind"` // what is replaced: Root (and what is below it) or Issuer
	Phase  Phase     `json:"phase"`
	Since  time.Time `json:"since"`           // of the phase
	Taint  bool      `json:"taint,omitempty"` // nobody waits for certificates to run out
	Reason string    `json:"reason,omitempty"`
}

// Phase of a rotation.
type Phase string

// Phases. Each one ends when all live proxies have what it hands out.
const (
	Distribute Phase = "distribute" // the new keys are trusted beside the old ones
	Reissue    Phase = "reissue"    // the new keys sign; the old ones are trusted still
	Drop       Phase = "drop"       // the old ones are trusted no more
)

// Book is the state of an authority's keys.
type Book struct {
	// Sequence of the trust bundle: grows with each change of it.
	Sequence uint64    `json:"sequence"`
	Slots    []*Slot   `json:"slots"`
	Rotation *Rotation `json:"rotation,omitempty"`
}

// Clone gives a book that can be changed while b is read.
func (b *Book) Clone() *Book {
	c := &Book{Sequence: b.Sequence}
	for _, s := range b.Slots {
		copied := *s
		c.Slots = append(c.Slots, &copied)
	}
	if b.Rotation != nil {
		r := *b.Rotation
		c.Rotation = &r
	}
	return c
}

// In gives the slot of a kind in a state, nil where there is none. Of Retired
// there may be several; it is the first.
func (b *Book) In(k Kind, s State) *Slot {
	for _, slot := range b.Slots {
		if slot.Kind == k && slot.State == s {
			return slot
		}
	}
	return nil
}

// Named gives the slot of a name, nil where there is none.
func (b *Book) Named(name string) *Slot {
	i := slices.IndexFunc(b.Slots, func(s *Slot) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return b.Slots[i]
}

// Trusted gives the slots of a kind that are in the trust bundle: the one that
// signs first, then the one that will, then those that did. A holder of a
// certificate that is not under the first root knows by it that it should renew.
func (b *Book) Trusted(k Kind) []*Slot {
	var out []*Slot
	for _, state := range []State{Active, Prepared, Retired} {
		for _, s := range b.Slots {
			if s.Kind == k && s.State == state {
				out = append(out, s)
			}
		}
	}
	return out
}

// Prepare adds a slot that does not sign yet.
func (b *Book) Prepare(s Slot, at time.Time) error {
	if b.In(s.Kind, Prepared) != nil {
		return fmt.Errorf("there is a prepared %s already", s.Kind)
	}
	s.State, s.Since = Prepared, at.UTC()
	if err := s.read(); err != nil {
		return err
	}
	b.Slots = append(b.Slots, &s)
	return nil
}

// Activate has the prepared slot of a kind sign, and the one that did no more.
func (b *Book) Activate(k Kind, at time.Time) error {
	next := b.In(k, Prepared)
	if next == nil {
		return fmt.Errorf("no %s is prepared", k)
	}
	if old := b.In(k, Active); old != nil {
		old.State, old.Since = Retired, at.UTC()
	}
	next.State, next.Since = Active, at.UTC()
	return nil
}

// Forget drops the slots for which drop says so, and gives their names. One that
// signs cannot be dropped.
func (b *Book) Forget(drop func(*Slot) bool) ([]string, error) {
	var names []string
	var kept []*Slot
	for _, s := range b.Slots {
		switch {
		case !drop(s):
			kept = append(kept, s)
		case s.State == Active:
			return nil, fmt.Errorf("%s %s signs, it cannot be dropped", s.Kind, s.Name)
		default:
			names = append(names, s.Name)
		}
	}
	b.Slots = kept
	return names, nil
}

// Check holds the book to what is always so.
func (b *Book) Check() error {
	names := map[string]bool{}
	for _, s := range b.Slots {
		if names[s.Name] || s.Name == "" {
			return fmt.Errorf("slot name %q is used twice or empty", s.Name)
		}
		names[s.Name] = true
		if err := s.read(); err != nil {
			return fmt.Errorf("%s %s: %w", s.Kind, s.Name, err)
		}
	}
	for _, k := range []Kind{Root, Issuer, JWT} {
		for _, state := range []State{Active, Prepared} {
			n := 0
			for _, s := range b.Slots {
				if s.Kind == k && s.State == state {
					n++
				}
			}
			if n > 1 || n == 0 && state == Active {
				return fmt.Errorf("%d slots of kind %s are %s", n, k, state)
			}
		}
	}
	for _, s := range b.Slots {
		if p := b.Named(s.Parent); s.Kind == Issuer && (p == nil || p.Kind != Root) {
			return fmt.Errorf("issuer %s has no root", s.Name)
		}
	}
	return b.checkRotation()
}

func (b *Book) checkRotation() error {
	r := b.Rotation
	if r == nil {
		for _, s := range b.Slots {
			if s.State == Prepared {
				return fmt.Errorf("%s %s is prepared, and there is no rotation", s.Kind, s.Name)
			}
		}
		return nil
	}
	if r.Kind != Root && r.Kind != Issuer {
		return fmt.Errorf("a rotation of %q", r.Kind)
	}
	if !slices.Contains([]Phase{Distribute, Reissue, Drop}, r.Phase) {
		return fmt.Errorf("a rotation in phase %q", r.Phase)
	}
	if has := b.In(r.Kind, Prepared) != nil; has != (r.Phase == Distribute) {
		return fmt.Errorf("a rotation of the %s in phase %s, prepared: %v", r.Kind, r.Phase, has)
	}
	return nil
}

// read checks the slot's own text and keeps what it says.
func (s *Slot) read() error {
	if !slices.Contains([]State{Prepared, Active, Retired}, s.State) {
		return fmt.Errorf("state %q", s.State)
	}
	text, want := s.Certificate, "CERTIFICATE"
	if s.Kind == JWT {
		text, want = s.PublicKey, "PUBLIC KEY"
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != want || len(rest) != 0 {
		return fmt.Errorf("it does not hold one PEM block %s", want)
	}
	switch s.Kind {
	case Root, Issuer:
		c, err := x509.ParseCertificate(block.Bytes)
		s.cert = c
		return err
	case JWT:
		pub, err := x509.ParsePKIXPublicKey(block.Bytes)
		s.pub = pub
		return err
	}
	return errors.New("its kind is not known")
}
