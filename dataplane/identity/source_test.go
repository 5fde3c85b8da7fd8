package identity_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/meshc/meshc/ca"
	"github.com/meshc/meshc/ca/catest"
	"github.com/meshc/meshc/dataplane/identity"
)

const cart = "spiffe://mesh.example/ns/shop/sa/cart"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func config(t *testing.T, srv *catest.Server) identity.Config {
	t.Helper()
	return identity.Config{
		CAAddress: srv.Addr, CARootFile: srv.RootFile, Dir: filepath.Join(t.TempDir(), "id"),
		Log: slog.New(slog.DiscardHandler),
	}
}

// run opens a source and runs it until stop is called or the test ends.
func run(t *testing.T, cfg identity.Config) (s *identity.Source, stop func()) {
	t.Helper()
	s, err := identity.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return s, stop
}

func wait(t *testing.T, s *identity.Source) *identity.Identity {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	id, err := s.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestJoinWithTokenThenRestartWithoutAuthority(t *testing.T) {
	srv := catest.Run(t, ca.Config{})
	cfg := config(t, srv)
	cfg.TokenFile = srv.TokenFile(t, cart)
	s, stop := run(t, cfg)
	id := wait(t, s)
	stop()
	if id.SPIFFEID != cart {
		t.Fatalf("identity %q", id.SPIFFEID)
	}
	if !bytes.Equal(id.BundlePEM, srv.BundlePEM()) {
		t.Error("another bundle than the authority's")
	}
	srv.Stop()
	cfg.TokenFile = ""
	again, err := identity.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	kept := again.Current()
	if kept == nil || kept.SPIFFEID != cart || !bytes.Equal(kept.CertificatePEM(), id.CertificatePEM()) {
		t.Fatalf("after a restart: %v", kept)
	}
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	srv := catest.Run(t, ca.Config{})
	cfg := config(t, srv)
	cfg.TokenFile = srv.TokenFile(t, cart)
	s, stop := run(t, cfg)
	wait(t, s)
	stop()
	err := filepath.Walk(cfg.Dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(cfg.Dir, "svid.pem"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := identity.Open(cfg); err == nil {
		t.Error("a key that others can read was used")
	}
}

func TestRenewalUsesTheCertificateAndANewKey(t *testing.T) {
	t.Parallel()
	srv := catest.Run(t, ca.Config{TTL: 8 * time.Second}) // leaves seconds between a renewal that is due and the end
	cfg := config(t, srv)
	cfg.TokenFile = srv.TokenFile(t, cart)
	s, _ := run(t, cfg)
	first := wait(t, s)
	if err := os.Remove(cfg.TokenFile); err != nil {
		t.Fatal(err)
	}
	news := s.Watch(t.Context())
	for n := 0; n < 3; {
		select {
		case <-news:
		case <-time.After(time.Minute):
			t.Fatal("no renewal")
		}
		next := s.Current()
		if next == nil {
			t.Fatal("no identity between renewals")
		}
		if bytes.Equal(next.CertificatePEM(), first.CertificatePEM()) {
			continue // the news was of bundles
		}
		n++
		k1, err1 := first.PrivateKeyPEM()
		k2, err2 := next.PrivateKeyPEM()
		if err1 != nil || err2 != nil || bytes.Equal(k1, k2) {
			t.Fatalf("the key was kept (%v, %v)", err1, err2)
		}
		first = next
	}
}

func TestAuthorityAwayAtFirstAndDuringRenewal(t *testing.T) {
	srv := catest.Run(t, ca.Config{TTL: 6 * time.Second}) // leaves seconds between the failure and the end
	cfg := config(t, srv)
	cfg.TokenFile = srv.TokenFile(t, cart)
	srv.Stop()
	failed := make(chan struct{}, 100)
	cfg.Log = slog.New(&signalHandler{text: "not renewed", c: failed})
	s, _ := run(t, cfg)
	await(t, failed)
	if s.Current() != nil {
		t.Fatal("an identity out of nowhere")
	}
	srv.Start(t)
	first := wait(t, s)
	srv.Stop()
	await(t, failed)
	if got := s.Current(); got != first {
		t.Fatalf("while the authority is away: %v", got)
	}
	news := s.Watch(t.Context())
	srv.Start(t)
	await(t, news)
}

func TestExpiredIdentityIsNoIdentity(t *testing.T) {
	srv := catest.Run(t, ca.Config{})
	clock := &fakeClock{at: time.Now()}
	cfg := config(t, srv)
	cfg.TokenFile = srv.TokenFile(t, cart)
	cfg.Now = clock.now
	s, stop := run(t, cfg)
	wait(t, s)
	stop()
	clock.add(time.Hour + time.Minute)
	if id := s.Current(); id != nil {
		t.Errorf("expired, and yet current: %v", id)
	}
	again, err := identity.Open(cfg)
	if err != nil || again.Current() != nil {
		t.Errorf("expired identity loaded: %v, %v", again.Current(), err)
	}
}

func TestOpenRefusesWhatItCannotTrust(t *testing.T) {
	srv := catest.Run(t, ca.Config{})
	base := config(t, srv)
	base.TokenFile = srv.TokenFile(t, cart)
	s, stop := run(t, base)
	id := wait(t, s)
	stop()
	svid := filepath.Join(base.Dir, "svid.pem")
	good, err := os.ReadFile(svid)
	if err != nil {
		t.Fatal(err)
	}
	_, chain := pem.Decode(good)
	other := config(t, srv)
	other.TokenFile = srv.TokenFile(t, cart)
	s2, stop2 := run(t, other)
	otherKey, err := wait(t, s2).PrivateKeyPEM()
	stop2()
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		content []byte
		cfg     func(*identity.Config)
		want    string
	}{
		"another ID":               {good, func(c *identity.Config) { c.SPIFFEID = "spiffe://mesh.example/ns/shop/sa/admin" }, "not"},
		"cut off":                  {good[:len(good)/2], nil, "identity in"},
		"no key":                   {chain, nil, "private key"},
		"empty":                    {nil, nil, "private key"},
		"the key of another":       {append(otherKey, chain...), nil, "not for this key"},
		"no root file":             {good, func(c *identity.Config) { c.CARootFile = "" }, "any server"},
		"no address":               {good, func(c *identity.Config) { c.CAAddress = "" }, "address"},
		"address without port":     {good, func(c *identity.Config) { c.CAAddress = "ca" }, "port"},
		"no directory":             {good, func(c *identity.Config) { c.Dir = "" }, "directory"},
		"a SPIFFE ID that is none": {good, func(c *identity.Config) { c.SPIFFEID = "cart" }, "SPIFFE ID"},
		"untouched":                {good, func(c *identity.Config) { c.SPIFFEID = id.SPIFFEID }, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(svid, c.content, 0o600); err != nil {
				t.Fatal(err)
			}
			cfg := base
			cfg.TokenFile = ""
			if c.cfg != nil {
				c.cfg(&cfg)
			}
			_, err := identity.Open(cfg)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestOnlyTheControllerOfTheGivenRootIsBelieved(t *testing.T) {
	srv := catest.Run(t, ca.Config{})
	impostor := catest.Run(t, ca.Config{})
	for name, change := range map[string]func(*identity.Config){
		"another root":         func(c *identity.Config) { c.CARootFile = impostor.RootFile },
		"another trust domain": func(c *identity.Config) { c.SPIFFEID = "spiffe://other.example/ns/shop/sa/cart" },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t, srv)
			cfg.TokenFile = srv.TokenFile(t, cart)
			change(&cfg)
			failed := make(chan struct{}, 100)
			cfg.Log = slog.New(&signalHandler{text: "not renewed", c: failed})
			s, stop := run(t, cfg)
			await(t, failed)
			stop()
			if s.Current() != nil {
				t.Error("an identity was taken from an unverified server")
			}
			token, err := os.ReadFile(cfg.TokenFile)
			if err != nil {
				t.Fatal(err)
			}
			// The token must not have left before the server was verified.
			fresh := config(t, srv)
			fresh.TokenFile = filepath.Join(t.TempDir(), "token")
			if err := os.WriteFile(fresh.TokenFile, token, 0o600); err != nil {
				t.Fatal(err)
			}
			s2, _ := run(t, fresh)
			wait(t, s2)
		})
	}
}

func TestAuthoritySetUpAnewIsJoinedAnew(t *testing.T) {
	old := catest.Run(t, ca.Config{})
	cfg := config(t, old)
	cfg.TokenFile = old.TokenFile(t, cart)
	s, stop := run(t, cfg)
	first := wait(t, s)
	stop()
	next := catest.Run(t, ca.Config{})
	cfg.CAAddress, cfg.CARootFile = next.Addr, next.RootFile
	cfg.TokenFile = next.TokenFile(t, cart)
	s, _ = run(t, cfg)
	if id := wait(t, s); bytes.Equal(id.BundlePEM, first.BundlePEM) {
		t.Error("the old authority's identity was kept")
	}
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	srv := catest.Run(t, ca.Config{})
	cfg := config(t, srv)
	cfg.TokenFile = srv.TokenFile(t, cart)
	s, stop := run(t, cfg)
	id := wait(t, s)
	stop()
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	secret := identity.NewSecret("hunter2")
	for _, v := range []any{id, *id, id.Certificate, id.Certificate.PrivateKey, secret, &secret, struct{ S identity.Secret }{secret}} {
		fmt.Fprintf(&out, "%v %+v %#v %s %x %d\n", v, v, v, v, v, v)
		log.Info("x", "v", v)
		if _, ok := v.(identity.Secret); ok {
			if err := json.NewEncoder(&out).Encode(v); err != nil {
				t.Fatal(err)
			}
		}
	}
	if strings.Contains(out.String(), "hunter2") || strings.Contains(out.String(), "68756e74657232") {
		t.Error("the secret was printed")
	}
	if !strings.Contains(out.String(), "[redacted]") {
		t.Error("nothing was redacted")
	}
	for form, text := range secretForms(t, id) {
		if strings.Contains(out.String(), text) {
			t.Errorf("the key was printed as %s", form)
		}
	}
}

// secretForms are the ways in which a formatter could show the key.
func secretForms(t *testing.T, id *identity.Identity) map[string]string {
	t.Helper()
	text, err := id.PrivateKeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	scalar, err := key.(*ecdsa.PrivateKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"PEM": string(text[:60]), "hex": hex.EncodeToString(scalar), "base64": base64.StdEncoding.EncodeToString(scalar),
		"a list of bytes": strings.Trim(fmt.Sprint(scalar), "[]"), "a decimal": new(big.Int).SetBytes(scalar).String(),
	}
}

type fakeClock struct {
	mu sync.Mutex
	at time.Time
}

func (c *fakeClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *fakeClock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// signalHandler signals each log record whose message contains text.
type signalHandler struct {
	text string
	c    chan struct{}
}

func (h *signalHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h *signalHandler) Handle(_ context.Context, r slog.Record) error {
	if strings.Contains(r.Message, h.text) {
		select {
		case h.c <- struct{}{}:
		default:
		}
	}
	return nil
}
func (h *signalHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h *signalHandler) WithGroup(string) slog.Handler      { return h }

func await(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Fatal("nothing happened in 20 s")
	}
}
