package keystore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func selfSigned(key crypto.Signer) (*x509.Certificate, error) {
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"},
		NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func TestCreateThenLoadGivesAWorkingPair(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(Root); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("empty slot: %v", err)
	}
	if has, err := s.Has(Root); has || err != nil {
		t.Fatal(has, err)
	}
	made, err := s.Create(Root, selfSigned)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Load(Root)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Certificate.Equal(made.Certificate) {
		t.Error("another certificate")
	}
	if has, err := s.Has(Root); !has || err != nil {
		t.Error(has, err)
	}
	digest := make([]byte, 32)
	sig, err := got.Signer.Sign(rand.Reader, digest, crypto.SHA256)
	if err != nil || !ecdsa.VerifyASN1(made.Certificate.PublicKey.(*ecdsa.PublicKey), digest, sig) {
		t.Errorf("the loaded key does not sign for the certificate: %v", err)
	}
}

func TestFailedCreateLeavesTheSlotAsItWas(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	refuse := func(crypto.Signer) (*x509.Certificate, error) { return nil, errors.New("no") }
	if _, err := s.Create(Root, refuse); err == nil {
		t.Fatal("no error")
	}
	if has, err := s.Has(Root); has || err != nil {
		t.Error(has, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestSignersAreOpaque(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Create(Root, selfSigned)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := p.Signer.(*ecdsa.PrivateKey); ok {
		t.Error("the key can be had by a type assertion")
	}
	if got := fmt.Sprintf("%v %+v %#v %x", p.Signer, p.Signer, p.Signer, p.Signer); got != "[redacted] [redacted] [redacted] [redacted]" {
		t.Errorf("prints as %s", got)
	}
	if got := fmt.Sprintf("%+v", *p); !strings.Contains(got, "Signer:[redacted]") {
		t.Error("the pair prints its key")
	}
}

// FuzzParse: no file panics, and none gives a key beside another's certificate.
func FuzzParse(f *testing.F) {
	dir := filepath.Join(f.TempDir(), "keys")
	s, err := Open(dir)
	if err != nil {
		f.Fatal(err)
	}
	if _, err := s.Create(Root, selfSigned); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(dir, "root.pem"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := parse(data)
		if err != nil {
			return
		}
		if pub, ok := p.Signer.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !pub.Equal(p.Certificate.PublicKey) {
			t.Fatal("a mismatched pair was read")
		}
	})
}
