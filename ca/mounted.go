package ca

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/ca/bundle"
	"github.com/meshc/meshc/ca/keystore"
	"github.com/meshc/meshc/ca/sign"
	"github.com/meshc/meshc/ca/slots"
	"github.com/meshc/meshc/ca/template"
	"github.com/meshc/meshc/ca/validate"
)

// Files of an issuer that others make, named as in a Secret of type
// kubernetes.io/tls, which is also how cert-manager writes them.
const (
	chainFile = "tls.crt" // the issuer, then what is between it and its root
	keyFile   = "tls.key"
	rootsFile = "ca.crt"  // every root that is trusted; the issuer's is among them
	jwtFile   = "jwt.key" // signs JWT-SVIDs; ECDSA P-256; optional
)

// maxFile bounds a mounted file, in bytes.
const maxFile = 1 << 20

// mounted is a source that is read from files which others replace, such as a Secret
// that every replica of a controller mounts: all of them sign under the same root.
type mounted struct {
	cfg   *Config
	td    spiffeid.TrustDomain
	roots *bundle.Holder

	mu     sync.Mutex
	sum    [sha256.Size]byte // of the files that issues was made of
	issues *issuing
	looked time.Time
	refuse [sha256.Size]byte // of the files that were last refused
}

func openMounted(cfg *Config, td spiffeid.TrustDomain) (*mounted, error) {
	m := &mounted{cfg: cfg, td: td, roots: bundle.New(td, bundle.Content{}), looked: cfg.Now()}
	return m, m.read(cfg.Now())
}

// current implements source.
func (m *mounted) current(now time.Time) (*issuing, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d := now.Sub(m.looked); d < 0 || d >= lookEvery {
		m.looked = now
		m.look(now)
	}
	return m.issues, nil
}

// look reads the files again. What is there only in part, or wrong, changes nothing.
func (m *mounted) look(now time.Time) {
	before := m.refuse
	if err := m.read(now); err != nil && m.refuse != before {
		m.cfg.Log.Error("the issuer that is mounted now is wrong, the one before it serves on",
			"dir", m.cfg.IssuerDir, "notAfter", m.issues.certificate().NotAfter, "error", err)
	}
}

// read takes the files over if they are others than before.
func (m *mounted) read(now time.Time) error {
	files := map[string][]byte{}
	h := sha256.New()
	for _, name := range []string{chainFile, keyFile, rootsFile, jwtFile} {
		data, err := readMounted(filepath.Join(m.cfg.IssuerDir, name))
		if errors.Is(err, fs.ErrNotExist) && name == jwtFile {
			continue
		}
		if err != nil {
			m.refuse = sha256.Sum256([]byte(err.Error()))
			return err
		}
		files[name] = data
		fmt.Fprintf(h, "%s %d ", name, len(data))
		h.Write(data)
	}
	sum := [sha256.Size]byte(h.Sum(nil))
	if m.issues != nil && sum == m.sum {
		return nil
	}
	issues, content, err := m.parse(files, now)
	if err != nil {
		m.refuse = sum
		return fmt.Errorf("issuer in %s: %w", m.cfg.IssuerDir, err)
	}
	if m.issues != nil {
		m.cfg.Log.Info("another issuer is mounted", "serial", issues.certificate().SerialNumber.Text(16), "notAfter", issues.certificate().NotAfter)
	}
	m.issues, m.sum = issues, sum
	m.roots.Set(content)
	return nil
}

func (m *mounted) parse(files map[string][]byte, now time.Time) (*issuing, bundle.Content, error) {
	content := bundle.Content{Keys: map[string]crypto.PublicKey{}}
	chain, err := parseCertificates(files[chainFile])
	if err != nil {
		return nil, content, fmt.Errorf("%s: %w", chainFile, err)
	}
	if content.Roots, err = parseCertificates(files[rootsFile]); err != nil {
		return nil, content, fmt.Errorf("%s: %w", rootsFile, err)
	}
	signer, err := keystore.Parse(files[keyFile])
	if err != nil {
		return nil, content, fmt.Errorf("%s: %w", keyFile, err)
	}
	if !keystore.Belongs(chain[0], signer) {
		return nil, content, fmt.Errorf("%s is not for the key in %s", chainFile, keyFile)
	}
	root, err := m.check(chain, content.Roots, now)
	if err != nil {
		return nil, content, err
	}
	chain = withoutRoots(chain, content.Roots)
	out := &issuing{signer: signer, chain: chain, root: root}
	if data := files[jwtFile]; data != nil {
		if out.jwt, err = keystore.Parse(data); err != nil {
			return nil, content, fmt.Errorf("%s: %w", jwtFile, err)
		}
		if out.jwtID, err = keyID(out.jwt.Public()); err != nil {
			return nil, content, fmt.Errorf("%s: %w", jwtFile, err)
		}
		content.Keys[out.jwtID] = out.jwt.Public()
	}
	content.Roots = first(content.Roots, root)
	if err := m.tryOut(out, content, now); err != nil {
		return nil, content, fmt.Errorf("nobody would take what it signs: %w", err)
	}
	return out, content, nil
}

// check holds roots and chain to what proxies will hold them to: a chain that nobody
// can verify must not replace one that works. It gives the chain's root.
func (m *mounted) check(chain, roots []*x509.Certificate, now time.Time) (*x509.Certificate, error) {
	pool, between := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range roots {
		if err := validate.Authority(c, m.td); err != nil {
			return nil, fmt.Errorf("root %q: %w", c.Subject, err)
		}
		pool.AddCert(c)
	}
	for _, c := range chain {
		if err := validate.Authority(c, m.td); err != nil {
			return nil, fmt.Errorf("certificate %q: %w", c.Subject, err)
		}
		between.AddCert(c)
	}
	found, err := chain[0].Verify(x509.VerifyOptions{Roots: pool, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return nil, err
	}
	if len(found[0]) == 1 {
		return nil, errors.New("the issuer is among the roots: a root signs issuers, and its key stays away from where they run")
	}
	return found[0][len(found[0])-1], nil
}

// tryOut signs a certificate that is thrown away, and has it verified as what is
// issued is, and as peers do it: lengths of paths, names and usages that an issuer is
// held to show in what is below it alone.
func (m *mounted) tryOut(by *issuing, content bundle.Content, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	id := validate.ControllerID(m.td)
	tmpl, err := template.Workload(id, by.certificate(), m.cfg.TTL, now)
	if err != nil {
		return err
	}
	leaf, err := sign.Certificate(tmpl, by.certificate(), key.Public(), by.signer)
	if err != nil {
		return err
	}
	chain := append([]*x509.Certificate{leaf}, by.chain...)
	want := validate.Issuance{ID: id, PublicKey: key.Public(), NotAfter: by.certificate().NotAfter}
	if err := validate.Issued(chain, bundle.New(m.td, content), now, want); err != nil {
		return err
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range content.Roots {
		roots.AddCert(c)
	}
	for _, c := range by.chain {
		between.AddCert(c)
	}
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage}}); err != nil {
			return err
		}
	}
	return nil
}

// withoutRoots is the chain as it is sent: peers have the roots.
func withoutRoots(chain, roots []*x509.Certificate) []*x509.Certificate {
	var out []*x509.Certificate
	for _, c := range chain {
		root := false
		for _, r := range roots {
			root = root || r.Equal(c)
		}
		if !root {
			out = append(out, c)
		}
	}
	return out
}

// first puts a root before the others.
func first(roots []*x509.Certificate, one *x509.Certificate) []*x509.Certificate {
	out := []*x509.Certificate{one}
	for _, r := range roots {
		if !r.Equal(one) {
			out = append(out, r)
		}
	}
	return out
}

// keyID is the same for every replica that has the key.
func keyID(pub crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(der)
	return fmt.Sprintf("jwt-%x", sum[:8]), nil
}

func parseCertificates(text []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for rest := bytes.TrimSpace(text); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" {
			return nil, errors.New("it holds something that is not a certificate in PEM")
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, errors.New("it holds no certificate")
	}
	return out, nil
}

// readMounted reads a file that may be a symbolic link, as those of mounted Secrets
// are, and that a group may read, as the one of a pod does.
func readMounted(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	if filepath.Base(path) != chainFile && filepath.Base(path) != rootsFile && info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("%s has mode %04o: everybody may read the key (defaultMode: 0440 of the volume)", path, info.Mode().Perm())
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return data, err
}

// ErrMounted is the answer to a wish to change keys that others make.
var ErrMounted = errors.New("the issuer is mounted: whoever makes it rotates it")

// rotate implements source.
func (m *mounted) rotate(string, time.Time) error { return ErrMounted }

// taint implements source.
func (m *mounted) taint(string, string, time.Time) error { return ErrMounted }

// token implements source: keys of tokens that are mounted have no overlap.
func (m *mounted) token(time.Time) {}

// suspects implements source: whoever makes the issuer takes a root away by itself.
func (m *mounted) suspects([]*x509.Certificate, time.Time) bool { return false }

// status implements source.
func (m *mounted) status(now time.Time) (*Status, error) {
	by, err := m.current(now)
	if err != nil {
		return nil, err
	}
	s := &Status{}
	add := func(kind slots.Kind, c *x509.Certificate, state slots.State, held bool) {
		serial := c.SerialNumber.Text(16)
		s.Keys = append(s.Keys, Key{Kind: string(kind), Name: string(kind) + "-" + serial, State: string(state), Serial: serial, NotBefore: c.NotBefore, NotAfter: c.NotAfter, Held: held})
	}
	for _, r := range m.roots.Content().Roots {
		state := slots.Retired // trusted; whether it will sign or did is not known here
		if r.Equal(by.root) {
			state = slots.Active
		}
		add(slots.Root, r, state, false)
	}
	add(slots.Issuer, by.certificate(), slots.Active, true)
	if by.jwt != nil {
		s.Keys = append(s.Keys, Key{Kind: string(slots.JWT), Name: by.jwtID, State: string(slots.Active), Held: true})
	}
	return s, nil
}

// run implements source.
func (m *mounted) run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_, _ = m.current(m.cfg.Now()) // look tells what is wrong
		}
	}
}
