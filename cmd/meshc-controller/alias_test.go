package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshc/meshc/ca"
)

// Roots say themselves whom they vouch for, and never for the mesh itself.
func TestAliasRoots(t *testing.T) {
	roots := func(domain string) string {
		a, err := ca.Open(ca.Config{Dir: filepath.Join(t.TempDir(), "ca"), TrustDomain: domain, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		return string(a.BundlePEM())
	}
	old, older, own := roots("old.example"), roots("older.example"), roots("new.example")
	for name, c := range map[string]struct{ text, err string }{
		"two":       {text: old + older},
		"itself":    {old + own, "the trust domain of the mesh itself"},
		"nothing":   {"\n", "holds no certificate"},
		"a key":     {"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "PRIVATE KEY"},
		"something": {old + "else", "not PEM"},
	} {
		file := filepath.Join(t.TempDir(), "roots.pem")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := aliasBundles(file, "new.example")
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want %q", name, err, c.err)
			}
			continue
		}
		if err != nil || len(got) != 2 || got[0].TrustDomain != "old.example" || string(got[1].PEM) != older {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if got, err := aliasBundles("", "new.example"); got != nil || err != nil {
		t.Error(got, err)
	}
}
