package checkup

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Each role is late by a quarter of a life, or by its own bound; what has ended or is
// not valid yet is said.
func TestExpiry(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name       string
		role       Role
		life, left time.Duration
		state      State
		want       string
	}{
		{"a root of ten years, in time", Root, 3650 * day, 181 * day, OK, "until 2027-05-01"},
		{"a root of ten years, late", Root, 3650 * day, 179 * day, Bad, "in 179 days"},
		{"an issuer in time", Issuer, 365 * day, 61 * day, OK, "until"},
		{"an issuer, late", Issuer, 365 * day, 59 * day, Bad, "in 59 days"},
		{"a certificate of 90 days, renewed at 30", Shown, 90 * day, 29 * day, OK, "until"},
		{"a certificate of 90 days, late", Shown, 90 * day, 22 * day, Bad, "in 22 days"},
		{"a certificate of ten years, late", Shown, 3650 * day, 29 * day, Bad, "in 29 days"},
		{"a certificate of a day, late", Shown, day, 5 * time.Hour, Bad, "in 5h0m0s"},
		{"ended", Shown, 90 * day, -time.Second, Bad, "ended at 2026-11-01T11:59:59Z"},
		{"not valid yet", Shown, 90 * day, 91 * day, Bad, "not valid before 2026-11-02T12:00:00Z"},
	} {
		end := now.Add(c.left)
		f := Expiry(c.role, "x", end.Add(-c.life), end, now)
		if f.State != c.state || !strings.Contains(f.Detail, c.want) || (f.Fix == "") != (c.state == OK) {
			t.Errorf("%s: %+v", c.name, f)
		}
	}
}

func certificate(t *testing.T, left time.Duration) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(left)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: end.Add(-90 * day), NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// A directory as Kubernetes mounts it: links to what is current, a key beside, a file of
// something else, one that is damaged.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(path string, data []byte) {
		t.Helper()
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("web/..data/tls.crt", certificate(t, 80*day))
	if err := os.Symlink("..data/tls.crt", filepath.Join(dir, "web", "tls.crt")); err != nil {
		t.Fatal(err)
	}
	write("web/tls.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}))
	write("late/tls.crt", append(certificate(t, 80*day), certificate(t, 3*day)...))
	write("note.txt", []byte("hello"))
	write("bad.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}))
	found, err := Files(dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]State{}
	for _, f := range found {
		got[f.What] = f.State
	}
	want := map[string]State{"certificate web/tls.crt": OK, "certificate late/tls.crt": Bad, "certificate bad.pem": Unknown}
	if len(got) != len(want) {
		t.Errorf("found %v", found)
	}
	for what, state := range want {
		if got[what] != state {
			t.Errorf("%s: %q, want %q", what, got[what], state)
		}
	}
	if _, err := Files(filepath.Join(dir, "none"), time.Now()); err == nil {
		t.Error("a directory that is not there is no error")
	}
}

func TestCertificateOfASecret(t *testing.T) {
	secret := func(crt string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"metadata": map[string]any{"namespace": "shop", "name": "web"},
			"data":     map[string]any{"tls.crt": crt, "tls.key": "c2VjcmV0"},
		}}
	}
	for name, c := range map[string]struct {
		crt   string
		state State
	}{
		"late":    {base64.StdEncoding.EncodeToString(certificate(t, 3*day)), Bad},
		"in time": {base64.StdEncoding.EncodeToString(certificate(t, 80*day)), OK},
		"no PEM":  {"aGVsbG8=", Unknown},
		"damaged": {"%", Unknown},
		"empty":   {"", Unknown},
	} {
		f := ofSecret(secret(c.crt), time.Now())
		if f.State != c.state || f.What != "certificate shop/web" || strings.Contains(f.Detail+f.Fix, "c2VjcmV0") {
			t.Errorf("%s: %+v", name, f)
		}
	}
}
