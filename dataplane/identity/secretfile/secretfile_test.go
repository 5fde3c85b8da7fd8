package secretfile

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// pair makes a self-signed certificate for name and its key.
func pair(t *testing.T, name string) (chain, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

func write(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	for name, b := range files {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func open(t *testing.T, dir string) (*Store, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	s, err := Open(dir, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, &log
}

func TestRotation(t *testing.T) {
	dir := t.TempDir()
	chain, key := pair(t, "a.example")
	write(t, dir, map[string][]byte{"shop/tls.crt": chain, "shop/tls.key": key, "all.pem": append(bytes.Clone(chain), key...), "shop/ca.crt": chain})
	s, log := open(t, dir)
	for _, name := range []string{"certificate|secret|shop", "certificate|file|all.pem"} {
		got, err := s.Get(name)
		if err != nil || got.Certificate.Leaf.DNSNames[0] != "a.example" {
			t.Fatal(name, got, err)
		}
	}
	if got, err := s.Get("ca|secret|shop"); err != nil || got.Authorities == nil || got.Key != nil {
		t.Fatal(got, err)
	}

	changed := s.Changed()
	s.Reload()
	select {
	case <-changed:
		t.Fatal("a change without one")
	default:
	}
	// The chain comes before its key: the old pair stays until both are there.
	chain2, key2 := pair(t, "b.example")
	write(t, dir, map[string][]byte{"shop/tls.crt": chain2})
	s.Reload()
	if got, err := s.Get("certificate|secret|shop"); err != nil || got.Certificate.Leaf.DNSNames[0] != "a.example" {
		t.Fatal(got, err)
	}
	write(t, dir, map[string][]byte{"shop/tls.key": key2})
	s.Reload()
	<-changed
	if got, err := s.Get("certificate|secret|shop"); err != nil || got.Certificate.Leaf.DNSNames[0] != "b.example" {
		t.Fatal(got, err)
	}
	// What is gone leaves the last that was read.
	if err := os.RemoveAll(filepath.Join(dir, "shop")); err != nil {
		t.Fatal(err)
	}
	s.Reload()
	s.Reload()
	if _, err := s.Get("certificate|secret|shop"); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(log.String(), "cannot be read"); n != 3 { // the half pair, and shop and its ca gone
		t.Errorf("%d warnings:\n%s", n, log)
	}
	if strings.Contains(log.String(), "PRIVATE") {
		t.Error("a key is in the log")
	}
}

// What is in use is read before anybody asks for it; what is not is told of no more, and
// is read anew for a connection that still asks.
func TestKeep(t *testing.T) {
	dir := t.TempDir()
	chain, key := pair(t, "a.example")
	write(t, dir, map[string][]byte{"old.pem": append(bytes.Clone(chain), key...), "new.pem": append(bytes.Clone(chain), key...)})
	s, _ := open(t, dir)
	ends := func(want ...string) {
		t.Helper()
		var got []string
		for name := range s.Ends() {
			got = append(got, name)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("%q, want %q", got, want)
		}
	}
	const before, after = "certificate|file|old.pem", "certificate|file|new.pem"
	s.Keep(map[string]bool{before: true})
	ends(before)
	s.Keep(map[string]bool{after: true, "no secret": true})
	ends(after)
	if _, err := s.Get(before); err != nil {
		t.Fatal(err)
	}
	ends(after)
	s.Reload()
	ends(after)
	if n := len(s.known); n != 1 {
		t.Fatalf("%d are looked at", n)
	}
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	chain, key := pair(t, "a.example")
	outside := filepath.Join(dir, "outside")
	inside := filepath.Join(dir, "inside")
	write(t, outside, map[string][]byte{"all.pem": append(bytes.Clone(chain), key...)})
	write(t, inside, map[string][]byte{"text.pem": []byte("nothing"), "big.pem": make([]byte, maxBytes+1)})
	if err := os.Symlink(filepath.Join(outside, "all.pem"), filepath.Join(inside, "link.pem")); err != nil {
		t.Fatal(err)
	}
	s, _ := open(t, inside)
	for _, name := range []string{
		"certificate|file|../outside/all.pem", "certificate|file|/etc/passwd", "certificate|file|", "certificate|secret|a/b", "certificate|secret|..",
		"key|file|text.pem", "certificate|inline|x", "default", "certificate|file|a//b", "certificate|file|link.pem", "certificate|file|text.pem",
		"ca|file|text.pem", "certificate|file|big.pem", "certificate|file|none.pem",
	} {
		if got, err := s.Get(name); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
	var none *Store
	if _, err := none.Get("certificate|secret|shop"); err == nil {
		t.Error("a store without a directory has a secret")
	}
	if _, err := Open(filepath.Join(dir, "missing"), slog.Default()); err == nil {
		t.Error("a missing directory was opened")
	}
}

func TestRedacted(t *testing.T) {
	chain, key := pair(t, "a.example")
	s := &Secret{PEM: chain, Key: key}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, s); text != "[redacted]" {
			t.Errorf("%s: %s", verb, text)
		}
	}
}
