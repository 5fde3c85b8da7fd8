package keystore

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func open(t testing.TB, dir string, seal Sealer) *Files {
	t.Helper()
	f, err := OpenFiles(dir, seal)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func sealer(t testing.TB, text string) Sealer {
	t.Helper()
	file := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := PassphraseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func wantSigns(t testing.TB, signer crypto.Signer, pub crypto.PublicKey) {
	t.Helper()
	digest := make([]byte, 32)
	sig, err := signer.Sign(rand.Reader, digest, crypto.SHA256)
	if err != nil || !ecdsa.VerifyASN1(pub.(*ecdsa.PublicKey), digest, sig) {
		t.Errorf("the key does not sign for its public half: %v", err)
	}
}

func TestKeysComeBackAsTheyWere(t *testing.T) {
	for name, seal := range map[string]Sealer{"clear": nil, "sealed": sealer(t, "correct horse battery")} {
		t.Run(name, func(t *testing.T) {
			f := open(t, filepath.Join(t.TempDir(), "keys"), seal)
			if _, err := f.Open("root"); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("no key: %v", err)
			}
			made, err := f.Create("root")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Create("root"); err == nil {
				t.Error("a key was replaced")
			}
			got, err := f.Open("root")
			if err != nil {
				t.Fatal(err)
			}
			wantSigns(t, got, made.Public())
			if names, err := f.Names(); err != nil || !slices.Equal(names, []string{"root"}) {
				t.Errorf("%v, %v", names, err)
			}
			if err := f.Delete("root"); err != nil {
				t.Fatal(err)
			}
			if _, err := f.Open("root"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("deleted: %v", err)
			}
			if err := f.Delete("root"); err != nil {
				t.Error(err)
			}
		})
	}
}

// Issue 7: keystore on disk encrypted.
func TestSealedKeys(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	first, err := open(t, dir, nil).Create("root")
	if err != nil {
		t.Fatal(err)
	}
	f := open(t, dir, sealer(t, "correct horse battery"))
	if _, err := f.Open("root"); err != nil { // lies there in clear, and is sealed by this
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != sealedType {
		t.Fatalf("not sealed: %s", block.Type)
	}
	got, err := f.Open("root")
	if err != nil {
		t.Fatal(err)
	}
	wantSigns(t, got, first.Public())

	refused := func(what string, f *Files, name string) {
		t.Helper()
		if _, err := f.Open(name); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("another passphrase", open(t, dir, sealer(t, "another horse battery")), "root")
	refused("no passphrase", open(t, dir, nil), "root")
	if err := os.WriteFile(filepath.Join(dir, "issuer.key"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	refused("one key in another's place", f, "issuer")
	block.Bytes[len(block.Bytes)-1] ^= 1
	if err := os.WriteFile(filepath.Join(dir, "root.key"), pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	refused("a flipped bit", f, "root")
	if got := fmt.Sprintf("%v %+v %#v %s", f.seal, f.seal, f.seal, f.seal); strings.Contains(got, "horse") {
		t.Errorf("the passphrase prints: %s", got)
	}
}

func TestPassphraseFileIsPrivateAndLong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "passphrase")
	for text, mode := range map[string]os.FileMode{"short": 0o600, "long enough to be one": 0o644} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := PassphraseFile(file); err == nil {
			t.Errorf("%q, mode %o was accepted", text, mode)
		}
	}
}

func TestSignersAreOpaque(t *testing.T) {
	k, err := open(t, filepath.Join(t.TempDir(), "keys"), nil).Create("root")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := k.(*ecdsa.PrivateKey); ok {
		t.Error("the key can be had by a type assertion")
	}
	if got := fmt.Sprintf("%v %+v %#v %x", k, k, k, k); got != "[redacted] [redacted] [redacted] [redacted]" {
		t.Errorf("prints as %s", got)
	}
}

// FuzzOpen: no file panics, and the error says nothing of what is in it.
func FuzzOpen(f *testing.F) {
	dir := filepath.Join(f.TempDir(), "keys")
	files := open(f, dir, nil)
	if _, err := files.Create("root"); err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(dir, "root.key")
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"))
	f.Add(bytes.ReplaceAll(good, []byte("PRIVATE"), []byte("MESHC SEALED PRIVATE")))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := files.Open("root"); err != nil && len(err.Error()) > len(path)+200 {
			t.Fatalf("the error quotes the file: %v", err)
		}
		_, _ = Parse(data)
	})
}
