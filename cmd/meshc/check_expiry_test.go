package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/ca"
)

// meshc check fails before the keys of the authority and the certificates of gateways
// end, and says which, when, and what to do.
func TestCheckBeforeCertificatesEnd(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Now()
	key := func(kind, state string, life, left time.Duration) ca.Key {
		return ca.Key{Kind: kind, Name: kind + "-1", State: state, NotBefore: now.Add(left - life), NotAfter: now.Add(left), Held: kind != "root"}
	}
	dir := t.TempDir()
	put := func(left time.Duration) {
		t.Helper()
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(left - 90*day), NotAfter: now.Add(left)}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, private.Public(), private)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "web.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		keys    []ca.Key
		gateway time.Duration
		status  int
		want    []string
	}{
		"all is well":                 {[]ca.Key{key("root", "active", 3650*day, 3000*day), key("issuer", "active", 365*day, 300*day)}, 80 * day, 0, []string{"ok", "root root-1", "issuer issuer-1", "certificate web.pem"}},
		"a root":                      {[]ca.Key{key("root", "active", 3650*day, 100*day+time.Hour)}, 80 * day, 1, []string{"bad", "in 100 days; its key is not here", "fix: meshc ca rotate root"}},
		"an issuer":                   {[]ca.Key{key("issuer", "active", 365*day, 40*day+time.Hour)}, 80 * day, 1, []string{"in 40 days", "fix: the authority replaces it"}},
		"a retired one signs no more": {[]ca.Key{key("issuer", "retired", 365*day, 4*day)}, 80 * day, 0, nil},
		"a gateway":                   {nil, 10*day + time.Hour, 1, []string{"certificate web.pem", "in 10 days", "fix: renew it"}},
		"a gateway, ended":            {nil, -day, 1, []string{"ended at"}},
		"a tainted key":               {[]ca.Key{{Kind: "issuer", Name: "i", State: "active", Tainted: true}}, 80 * day, 1, []string{"others may know its key"}},
	} {
		t.Run(name, func(t *testing.T) {
			put(c.gateway)
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/ca" {
					http.NotFound(w, r)
					return
				}
				_ = json.NewEncoder(w).Encode(&ca.Status{TrustDomain: "mesh.example", Keys: c.keys})
			}))
			defer s.Close()
			var out, errs bytes.Buffer
			status := run(t.Context(), []string{"check", "--admin", s.Listener.Addr().String(), "--secrets-dir", dir}, nil, &out, &errs)
			if status != c.status {
				t.Errorf("status %d, want %d: %s%s", status, c.status, out.String(), errs.String())
			}
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("want %q in\n%s", want, out.String())
				}
			}
		})
	}
	var errs bytes.Buffer
	if status := run(t.Context(), []string{"check", "--admin", filepath.Join(dir, "none.sock")}, nil, io.Discard, &errs); status != 2 || errs.Len() == 0 {
		t.Errorf("no controller: status %d, %q", status, errs.String())
	}
}
