package ca

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/meshc/meshc/ca/sign"
	"github.com/meshc/meshc/ca/template"
)

// legacyDir is a directory as an older meshc made it.
func legacyDir(t *testing.T) (dir string, root *x509.Certificate) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "ca")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	td := open(t, Config{}).td
	write := func(name string, key *ecdsa.PrivateKey, cert *x509.Certificate) {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		text := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), encodeCert(cert)...)
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rootKey, issuerKey := newKey(t), newKey(t)
	tmpl, err := template.Root(td, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if root, err = sign.Certificate(tmpl, tmpl, rootKey.Public(), rootKey); err != nil {
		t.Fatal(err)
	}
	if tmpl, err = template.Issuer(td, root, time.Now()); err != nil {
		t.Fatal(err)
	}
	issuer, err := sign.Certificate(tmpl, root, issuerKey.Public(), rootKey)
	if err != nil {
		t.Fatal(err)
	}
	write("root.pem", rootKey, root)
	write("issuer.pem", issuerKey, issuer)
	return dir, root
}

// A mesh keeps its root when it is updated, whatever moment the update is cut off at.
func TestAnOlderDirectoryIsTakenOver(t *testing.T) {
	for name, prepare := range map[string]func(*testing.T, string){
		"whole":     func(*testing.T, string) {},
		"no issuer": func(t *testing.T, dir string) { _ = os.Remove(filepath.Join(dir, "issuer.pem")) },
		"cut off": func(t *testing.T, dir string) { // keys were copied, the state was not written
			files := filepath.Join(dir, "keys")
			if err := os.Mkdir(files, 0o700); err != nil {
				t.Fatal(err)
			}
			for _, f := range []string{filepath.Join(files, "root-00.key"), filepath.Join(dir, "new")} {
				if err := os.WriteFile(f, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, root := legacyDir(t)
			prepare(t, dir)
			a := open(t, Config{Dir: dir})
			if roots := a.Bundle().Roots; len(roots) != 1 || !roots[0].Equal(root) {
				t.Fatal("another root")
			}
			issue(t, a, cart, 0)
			for _, gone := range []string{"root.pem", "issuer.pem", "new", "keys/root-00.key"} {
				if _, err := os.Lstat(filepath.Join(dir, gone)); err == nil {
					t.Errorf("%s is still there", gone)
				}
			}
			issue(t, open(t, Config{Dir: dir}), cart, 0)
		})
	}
	dir, _ := legacyDir(t)
	if err := os.Remove(filepath.Join(dir, "root.pem")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: dir, TrustDomain: domain}); err == nil {
		t.Error("an issuer without its root was replaced by a new trust domain")
	}
}
