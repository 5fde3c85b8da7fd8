package identity

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/meshc/meshc/ca"
	"github.com/meshc/meshc/ca/catest"
)

// believes says whether a server with a certificate of the control plane made by an
// authority is let in.
func believes(t *testing.T, cfg *Config, cur *Identity, by *catest.Server) bool {
	t.Helper()
	c, err := clientTLS(cfg, cur)
	if err != nil {
		t.Fatal(err)
	}
	own, err := by.ControllerCertificate()
	if err != nil {
		t.Fatal(err)
	}
	var chain []*x509.Certificate
	for _, der := range own.Certificate {
		one, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		chain = append(chain, one)
	}
	return c.VerifyConnection(tls.ConnectionState{PeerCertificates: chain}) == nil
}

// The root file counts until a bundle is known: a root that the authority has let go
// of, for a stolen key, vouches for nobody although it is in the file still; with an
// identity, after its end, and after a restart with a token at hand. A file that was
// replaced counts again, where there is no identity.
func TestARootThatWasDroppedIsBelievedNoMore(t *testing.T) {
	dropped, now := catest.Run(t, ca.Config{}), catest.Run(t, ca.Config{})
	dir := t.TempDir()
	cfg := Config{CAAddress: now.Addr, CARootFile: filepath.Join(dir, "root.pem"), Dir: filepath.Join(dir, "id"), Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	write := func(text []byte) {
		t.Helper()
		if err := os.WriteFile(cfg.CARootFile, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(dropped.BundlePEM())
	if err := os.Mkdir(cfg.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if !believes(t, &cfg, nil, dropped) || believes(t, &cfg, nil, now) {
		t.Error("the root file is not what counts at first")
	}
	write(now.BundlePEM())
	cfg.TokenFile = now.TokenFile(t, "spiffe://mesh.example/ns/shop/sa/cart")
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	// What it was like before the rotation: the file has the first root alone.
	write(dropped.BundlePEM())
	if err := keepBundle(&cfg, s.Current().BundlePEM); err != nil {
		t.Fatal(err)
	}
	for what, cur := range map[string]*Identity{"an identity": s.Current(), "one that has ended": nil} {
		if believes(t, &cfg, cur, dropped) {
			t.Errorf("with %s the root that was dropped is believed", what)
		}
		if !believes(t, &cfg, cur, now) {
			t.Errorf("with %s the root of now is not believed", what)
		}
	}
	cfg.TokenFile = now.TokenFile(t, "spiffe://mesh.example/ns/shop/sa/cart")
	again, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if again.Current() == nil {
		t.Error("the kept identity was given up for a root file that is behind")
	}
	other := catest.Run(t, ca.Config{})
	write(other.BundlePEM())
	if !believes(t, &cfg, nil, other) || believes(t, &cfg, again.Current(), other) {
		t.Error("another root file: it counts without an identity, and not with one")
	}
}
