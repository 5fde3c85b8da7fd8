package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"

	"github.com/meshc/meshc/ca/sign"
	"github.com/meshc/meshc/ca/template"
)

// offline is a root that no controller has the key of.
type offline struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newRoot(t testing.TB, td string) *offline {
	t.Helper()
	tmpl, err := template.Root(spiffeid.RequireTrustDomainFromString(td), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	tmpl.MaxPathLen = 2
	o := &offline{key: newKey(t)}
	if o.cert, err = sign.Certificate(tmpl, tmpl, o.key.Public(), o.key); err != nil {
		t.Fatal(err)
	}
	return o
}

// below makes an authority below another one, with or without more below it.
func below(t testing.TB, parent *x509.Certificate, key crypto.Signer, depth int) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	tmpl, err := template.Issuer(spiffeid.RequireTrustDomainFromString(domain), parent, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	tmpl.MaxPathLen, tmpl.MaxPathLenZero = depth, depth == 0
	own := newKey(t)
	c, err := sign.Certificate(tmpl, parent, own.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return c, own
}

// secret mounts files as the kubelet does: a directory of the moment, and links to it
// that are replaced in one step.
type secret struct {
	t   testing.TB
	dir string
	n   int
}

func newSecret(t testing.TB) *secret { return &secret{t: t, dir: t.TempDir()} }

func (s *secret) write(files map[string]string) {
	s.t.Helper()
	s.n++
	now := filepath.Join(s.dir, "..now-"+strings.Repeat("x", s.n))
	must(s.t, os.Mkdir(now, 0o755))
	for name, text := range files {
		must(s.t, os.WriteFile(filepath.Join(now, name), []byte(text), 0o440))
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(s.dir, name)); err != nil && !os.IsExist(err) {
			s.t.Fatal(err)
		}
	}
	next := filepath.Join(s.dir, "..next")
	must(s.t, os.Symlink(now, next))
	must(s.t, os.Rename(next, filepath.Join(s.dir, "..data")))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func pemKey(t testing.TB, key *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func (s *secret) issuer(root *offline, trusted ...*offline) {
	s.t.Helper()
	c, key := below(s.t, root.cert, root.key, 0)
	roots := encodeCert(root.cert)
	for _, o := range trusted {
		roots = encodeCert(o.cert) + roots
	}
	s.write(map[string]string{chainFile: encodeCert(c), keyFile: pemKey(s.t, key), rootsFile: roots, jwtFile: pemKey(s.t, newKey(s.t))})
}

// Issue 7, and replicas: root offline by design, bring your own root; every replica
// that mounts the issuer signs under the same root.
func TestReplicasShareAMountedIssuer(t *testing.T) {
	c := newClock()
	s, root := newSecret(t), newRoot(t, domain)
	s.issuer(root)
	one, two := open(t, Config{IssuerDir: s.dir, Now: c.now}), open(t, Config{IssuerDir: s.dir, Now: c.now})
	exchange := func(want *offline) {
		t.Helper()
		issue(t, one, cart, 0) // looks at the files, as Run does
		issue(t, two, cart, 0)
		for _, pair := range [][2]*Authority{{one, two}, {two, one}} {
			chain := issue(t, pair[0], cart, 0)
			if id, err := pair[1].Verify(chain); err != nil || id != cart {
				t.Fatalf("%q, %v", id, err)
			}
			if !pair[0].Bundle().Roots[0].Equal(want.cert) {
				t.Fatal("the root that signs is not the first")
			}
			token, err := pair[0].IssueJWT(cart, []string{"x"}, 0)
			must(t, err)
			_, err = jwtsvid.ParseAndValidate(token, pair[1].roots, []string{"x"})
			must(t, err)
		}
	}
	exchange(root)
	if err := one.Rotate("root"); err == nil {
		t.Error("a mounted issuer was rotated")
	}
	if _, err := os.Stat(filepath.Join(one.cfg.Dir, "keys")); err == nil {
		t.Error("keys were made beside the mounted issuer")
	}

	other := newRoot(t, domain)
	s.issuer(root, other) // the next root is trusted, the one before signs
	c.add(lookEvery)
	exchange(root)
	before := issue(t, one, cart, 0)
	s.issuer(other, root) // and now the other way round
	c.add(lookEvery)
	exchange(other)
	if _, err := one.Verify(before); err != nil {
		t.Errorf("what was signed before: %v", err)
	}
	s.issuer(other)
	c.add(lookEvery)
	exchange(other)
	if _, err := one.Verify(before); err == nil {
		t.Error("a certificate of a root that is trusted no more was accepted")
	}
}

func TestBetweenIssuerAndRootThereMayBeMore(t *testing.T) {
	root := newRoot(t, domain)
	middle, middleKey := below(t, root.cert, root.key, 1)
	issuer, key := below(t, middle, middleKey, 0)
	s := newSecret(t)
	s.write(map[string]string{
		chainFile: encodeCert(issuer) + encodeCert(middle) + encodeCert(root.cert), keyFile: pemKey(t, key), rootsFile: encodeCert(root.cert),
	})
	a := open(t, Config{IssuerDir: s.dir})
	chain := issue(t, a, cart, 0)
	if len(chain) != 3 || !chain[2].Equal(middle) {
		t.Errorf("a chain of %d", len(chain))
	}
	if _, err := a.IssueJWT(cart, []string{"x"}, 0); err == nil {
		t.Error("a token without a key")
	}
}

func TestAWrongIssuerIsNotTaken(t *testing.T) {
	root := newRoot(t, domain)
	issuer, key := below(t, root.cert, root.key, 0)
	foreign := newRoot(t, "other.example")
	good := map[string]string{chainFile: encodeCert(issuer), keyFile: pemKey(t, key), rootsFile: encodeCert(root.cert)}
	like := func(change func(root, issuer *x509.Certificate)) map[string]string {
		top, err := template.Root(spiffeid.RequireTrustDomainFromString(domain), time.Now())
		must(t, err)
		own := newKey(t)
		next, err := template.Issuer(spiffeid.RequireTrustDomainFromString(domain), top, time.Now())
		must(t, err)
		change(top, next)
		rootKey := newKey(t)
		above, err := sign.Certificate(top, top, rootKey.Public(), rootKey)
		must(t, err)
		below, err := sign.Certificate(next, above, own.Public(), rootKey)
		must(t, err)
		return map[string]string{chainFile: encodeCert(below), keyFile: pemKey(t, own), rootsFile: encodeCert(above)}
	}
	cases := map[string]map[string]string{
		"another key":                     {keyFile: pemKey(t, newKey(t))},
		"a root that did not":             {rootsFile: encodeCert(newRoot(t, domain).cert)},
		"another trust domain":            {rootsFile: encodeCert(foreign.cert)},
		"the root itself":                 {chainFile: encodeCert(root.cert), keyFile: pemKey(t, root.key)},
		"a damaged key":                   {keyFile: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"},
		"no certificate":                  {chainFile: ""},
		"no roots":                        {rootsFile: "\n"},
		"a key among the roots":           {rootsFile: pemKey(t, key)},
		"no issuer may be below the root": like(func(root, _ *x509.Certificate) { root.MaxPathLen, root.MaxPathLenZero = 0, true }),
		"for clients alone":               like(func(_, issuer *x509.Certificate) { issuer.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }),
		"for other names":                 like(func(_, issuer *x509.Certificate) { issuer.PermittedURIDomains = []string{"other.example"} }),
		"a certificate of a pod":          {chainFile: encodeCert(issue(t, open(t, Config{}), cart, 0)[0])},
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			s := newSecret(t)
			files := map[string]string{}
			for k, v := range good {
				files[k] = v
			}
			s.write(files)
			a := open(t, Config{IssuerDir: s.dir, Now: c.now})
			for k, v := range change {
				files[k] = v
			}
			s.write(files)
			if _, err := Open(Config{Dir: t.TempDir(), IssuerDir: s.dir, TrustDomain: domain}); err == nil {
				t.Error("a start with it")
			} else if strings.Contains(err.Error(), "AAAA") {
				t.Errorf("the error quotes the key: %v", err)
			}
			c.add(lookEvery)
			if chain := issue(t, a, cart, 0); !chain[1].Equal(issuer) {
				t.Error("it was taken while running")
			}
		})
	}
	s := newSecret(t)
	s.write(good)
	must(t, os.Chmod(filepath.Join(s.dir, keyFile), 0o444))
	if _, err := Open(Config{Dir: t.TempDir(), IssuerDir: s.dir, TrustDomain: domain}); err == nil {
		t.Error("a key that everybody may read")
	}
}
