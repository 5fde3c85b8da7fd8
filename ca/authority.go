// Package ca is the certificate authority of one trust domain. Every
// certificate takes the same way: template → sign → validate the result →
// return. Identities come from attestation, public keys from requests, and
// nothing else of a request is used.
package ca

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/ca/attest"
	"github.com/meshc/meshc/ca/bundle"
	"github.com/meshc/meshc/ca/keystore"
	"github.com/meshc/meshc/ca/sign"
	"github.com/meshc/meshc/ca/template"
	"github.com/meshc/meshc/ca/validate"
)

// Config of an Authority. Dir and TrustDomain are required.
type Config struct {
	Dir         string // keystore, made when missing
	TrustDomain string
	// TTL is the default and the longest lifetime of workloads' certificates;
	// 0 = 1 h.
	TTL time.Duration
	Now func() time.Time // nil = time.Now
	Log *slog.Logger     // audit log; nil = slog.Default()
	// Rate limits requests per identity.
	Rate Rate
}

// Authority issues X.509-SVIDs. It is safe for concurrent use.
type Authority struct {
	cfg     Config
	td      spiffeid.TrustDomain
	store   *keystore.Store
	tokens  *attest.Tokens
	roots   *bundle.Holder
	limiter *limiter

	mu         sync.Mutex
	issuer     *keystore.Pair
	controller *tls.Certificate
}

// Open opens the keystore in cfg.Dir. The first Open of a directory makes the
// root and the issuer. It refuses a directory or file that others can read, a
// damaged or mismatched pair, and one of another trust domain.
func Open(cfg Config) (*Authority, error) {
	td, err := spiffeid.TrustDomainFromString(cfg.TrustDomain)
	if err != nil || td.Name() != cfg.TrustDomain {
		return nil, errors.Join(fmt.Errorf("ca: trust domain %q is not valid", cfg.TrustDomain), err)
	}
	if cfg.TTL < 0 {
		return nil, fmt.Errorf("ca: lifetime %s of certificates is negative", cfg.TTL)
	}
	cfg.fillDefaults()
	store, err := keystore.Open(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	tokens, err := attest.OpenTokens(tokenDir(cfg.Dir), td, cfg.Now)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	a := &Authority{cfg: cfg, td: td, store: store, tokens: tokens, limiter: newLimiter(cfg.Rate, cfg.Now)}
	if err := a.loadOrCreate(); err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	return a, nil
}

// OpenTokens returns the join tokens of the authority in dir, for a process
// that hands them out while another one runs the authority.
func OpenTokens(dir, trustDomain string) (*attest.Tokens, error) {
	td, err := spiffeid.TrustDomainFromString(trustDomain)
	if err != nil {
		return nil, fmt.Errorf("ca: trust domain %q: %w", trustDomain, err)
	}
	return attest.OpenTokens(tokenDir(dir), td, nil)
}

// TrustDomain returns the name of the authority's trust domain.
func (a *Authority) TrustDomain() string { return a.td.Name() }

// CreateJoinToken makes a token that is good for one certificate of spiffeID
// within ttl.
func (a *Authority) CreateJoinToken(spiffeID string, ttl time.Duration, opts ...attest.TokenOption) (string, error) {
	return a.tokens.CreateJoinToken(spiffeID, ttl, opts...)
}

// BundlePEM returns the roots of the trust domain, one PEM block each.
func (a *Authority) BundlePEM() []byte { return a.roots.PEM() }

// WatchBundle returns a channel that gets a value when BundlePEM has changed.
// It is closed when ctx ends.
func (a *Authority) WatchBundle(ctx context.Context) <-chan struct{} { return a.roots.Watch(ctx) }

// Issue makes an X.509-SVID for the workload identity spiffeID and the holder
// of pub: leaf first, then the issuer. ttl 0 means the configured lifetime,
// which is also the longest; no certificate outlives its issuer.
func (a *Authority) Issue(spiffeID string, pub crypto.PublicKey, ttl time.Duration) ([]*x509.Certificate, error) {
	id, err := validate.WorkloadID(spiffeID, a.td)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	if id == validate.ControllerID(a.td) {
		return nil, fmt.Errorf("ca: %q is the control plane's own identity", id)
	}
	return a.issue(id, pub, ttl)
}

func (a *Authority) issue(id spiffeid.ID, pub crypto.PublicKey, ttl time.Duration) ([]*x509.Certificate, error) {
	if err := validate.PublicKey(pub); err != nil {
		return nil, fmt.Errorf("ca: certificate of %q: %w", id, err)
	}
	if ttl <= 0 || ttl > a.cfg.TTL {
		ttl = a.cfg.TTL
	}
	now := a.cfg.Now()
	issuer, err := a.currentIssuer(now)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	tmpl, err := template.Workload(id, issuer.Certificate, ttl, now)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	leaf, err := sign.Certificate(tmpl, issuer.Certificate, pub, issuer.Signer)
	if err != nil {
		return nil, fmt.Errorf("ca: certificate of %q: %w", id, err)
	}
	chain := []*x509.Certificate{leaf, issuer.Certificate}
	want := validate.Issuance{ID: id, PublicKey: pub, NotAfter: issuer.Certificate.NotAfter}
	if err := validate.Issued(chain, a.roots, now, want); err != nil {
		return nil, fmt.Errorf("ca: the new certificate of %q is wrong and was dropped: %w", id, err)
	}
	return chain, nil
}

func (c *Config) fillDefaults() {
	if c.TTL == 0 {
		c.TTL = template.LeafTTL
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	c.Rate.fillDefaults()
}

func tokenDir(dir string) string { return filepath.Join(dir, "tokens") }
