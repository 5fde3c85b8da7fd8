// Package keystore keeps the authority's keys and certificates in files of a
// directory that only its owner may enter. Keys come out as crypto.Signer and
// in no other form.
package keystore

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/meshc/meshc/dataplane/identity/privatefile"
)

// Slot names a pair of key and certificate.
type Slot string

// Slots.
const (
	Root   Slot = "root"
	Issuer Slot = "issuer"
)

// Pair is a key and its certificate.
type Pair struct {
	Signer      crypto.Signer
	Certificate *x509.Certificate
}

// Store is one key directory. Its methods may be called by several processes
// at once; whoever reads, decides and writes holds Lock meanwhile.
type Store struct{ dir string }

// Open returns the store in dir, which is made with mode 0700 when missing and
// refused when others may enter it.
func Open(dir string) (*Store, error) {
	if err := privatefile.EnsureDir(dir); err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	return &Store{dir: dir}, nil
}

// Lock excludes other processes until unlock is called.
func (s *Store) Lock() (unlock func(), err error) {
	unlock, err = privatefile.Lock(s.dir)
	if err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	return unlock, nil
}

// Load returns the pair in slot. An empty slot is an error for which
// errors.Is(err, fs.ErrNotExist) holds; a damaged file, or a key that does not
// belong to the certificate beside it, is never repaired or replaced.
func (s *Store) Load(slot Slot) (*Pair, error) {
	path := s.path(slot)
	data, err := privatefile.Read(path)
	if err != nil {
		return nil, fmt.Errorf("keystore: %s: %w", slot, err)
	}
	pair, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("keystore: file %s: %w", path, err)
	}
	return pair, nil
}

// Create makes a new ECDSA P-256 key, has certify make its certificate and
// stores both in one file, in one step: no crash leaves a key without its
// certificate. What the slot held before is replaced.
func (s *Store) Create(slot Slot, certify func(crypto.Signer) (*x509.Certificate, error)) (*Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("keystore: %s: %w", slot, err)
	}
	cert, err := certify(key)
	if err != nil {
		return nil, fmt.Errorf("keystore: %s: %w", slot, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("keystore: %s: %w", slot, err)
	}
	var buf bytes.Buffer
	for _, b := range []*pem.Block{{Type: "PRIVATE KEY", Bytes: der}, {Type: "CERTIFICATE", Bytes: cert.Raw}} {
		if err := pem.Encode(&buf, b); err != nil {
			return nil, fmt.Errorf("keystore: %s: %w", slot, err)
		}
	}
	if err := privatefile.Write(s.path(slot), buf.Bytes()); err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	return &Pair{Signer: opaque{key}, Certificate: cert}, nil
}

// Has says whether slot is filled.
func (s *Store) Has(slot Slot) (bool, error) {
	_, err := privatefile.Read(s.path(slot))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (s *Store) path(slot Slot) string { return filepath.Join(s.dir, string(slot)+".pem") }

func parse(data []byte) (*Pair, error) {
	keyBlock, rest := pem.Decode(data)
	if keyBlock == nil || keyBlock.Type != "PRIVATE KEY" {
		return nil, errors.New("it does not begin with a PEM block PRIVATE KEY")
	}
	certBlock, rest := pem.Decode(rest)
	if certBlock == nil || certBlock.Type != "CERTIFICATE" {
		return nil, errors.New("no PEM block CERTIFICATE follows the key")
	}
	if len(bytes.TrimSpace(rest)) != 0 {
		return nil, errors.New("there is data after the certificate")
	}
	key, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, errors.New("the private key is damaged") // the cause could quote key bytes
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a private key of type %T cannot sign", key)
	}
	cert, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the certificate is damaged: %w", err)
	}
	pub, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !pub.Equal(cert.PublicKey) {
		return nil, errors.New("the certificate is not for the key beside it")
	}
	return &Pair{Signer: opaque{signer}, Certificate: cert}, nil
}
