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
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/ca/attest"
	"github.com/meshc/meshc/ca/audit"
	"github.com/meshc/meshc/ca/bundle"
	"github.com/meshc/meshc/ca/keystore"
	"github.com/meshc/meshc/ca/sign"
	"github.com/meshc/meshc/ca/template"
	"github.com/meshc/meshc/ca/validate"
	"github.com/meshc/meshc/dataplane/identity/privatefile"
)

// MaxTTL is the longest lifetime that workloads' certificates can be given: a
// rotation lasts twice as long, and has to end well before an issuer does.
const MaxTTL = 30 * 24 * time.Hour

// Config of an Authority. Dir and TrustDomain are required.
type Config struct {
	Dir string // keystore, tokens and audit log; made when missing
	// IssuerDir has the issuer and its key in files that others replace, as of a
	// mounted Secret; "" = the authority makes its own root and issuer in Dir.
	IssuerDir   string
	TrustDomain string
	// TTL is the default and the longest lifetime of workloads' certificates;
	// 0 = 1 h.
	TTL time.Duration
	Now func() time.Time // nil = time.Now
	Log *slog.Logger     // audit log; nil = slog.Default()
	// Rate limits requests per identity.
	Rate Rate
	// Keys keeps the private keys; nil: files in Dir, sealed by Seal if that is set.
	Keys keystore.Keys
	Seal keystore.Sealer
	// Acknowledged says how many of how many live proxies have confirmed the trust
	// bundle of a sequence number: a rotation waits until all of them have. nil:
	// nobody is known, and it goes by time alone. Behind names those that have not, for
	// the log; it may be nil.
	Acknowledged func(sequence uint64) (done, live int)
	Behind       func() []string
	// Methods are how callers may prove who they are; nil: by join tokens, and by
	// the certificate that they renew. With attest.ByTokenReview, Reviewer is asked.
	Methods  []attest.Method
	Reviewer attest.Reviewer
	// AuditFile is where each certificate and token is written down before it is
	// given away; "" = audit.jsonl in Dir.
	AuditFile string
}

// Authority issues X.509-SVIDs. It is safe for concurrent use.
type Authority struct {
	cfg     Config
	td      spiffeid.TrustDomain
	source  source
	tokens  *attest.Tokens
	roots   *bundle.Holder
	limiter *limiter // of identities
	reviews *limiter // of addresses that tokens to be reviewed come from
	jwts    *limiter // of identities that ask for tokens, which must not use up their certificates
	attest  attest.Attestor
	log     *audit.Log

	mu         sync.Mutex
	controller *tls.Certificate
	signedBy   *x509.Certificate // the issuer of controller
	madeAt     time.Time         // when controller was
}

// Open opens the keystore in cfg.Dir. The first Open of a directory makes the
// root and the issuer. It refuses a directory or file that others can read, a
// damaged or mismatched pair, and one of another trust domain.
func Open(cfg Config) (*Authority, error) {
	td, err := spiffeid.TrustDomainFromString(cfg.TrustDomain)
	if err != nil || td.Name() != cfg.TrustDomain {
		return nil, errors.Join(fmt.Errorf("ca: trust domain %q is not valid", cfg.TrustDomain), err)
	}
	if cfg.TTL < 0 || cfg.TTL > MaxTTL {
		return nil, fmt.Errorf("ca: lifetime %s of certificates is not between 0 and %s", cfg.TTL, MaxTTL)
	}
	cfg.fillDefaults()
	a := &Authority{cfg: cfg, td: td, limiter: newLimiter(cfg.Rate, cfg.Now), reviews: newLimiter(cfg.Rate.times(10), cfg.Now), jwts: newLimiter(cfg.Rate, cfg.Now)}
	if err := a.openSource(); err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	if a.tokens, err = attest.OpenTokens(tokenDir(cfg.Dir), td, cfg.Now); err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	if a.log, err = audit.Open(cfg.AuditFile, cfg.Now); err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	if err := a.chooseMethods(); err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	return a, nil
}

func (a *Authority) openSource() error {
	if a.cfg.IssuerDir != "" {
		m, err := openMounted(&a.cfg, a.td)
		if err != nil {
			return err
		}
		a.source, a.roots = m, m.roots
		return privatefile.EnsureDir(a.cfg.Dir)
	}
	o, err := openOwn(&a.cfg, a.td)
	if err != nil {
		return err
	}
	a.source, a.roots = o, o.roots
	return nil
}

// chooseMethods fills attest.
func (a *Authority) chooseMethods() error {
	if slices.Contains(a.cfg.Methods, attest.ByTokenReview) && slices.Contains(a.cfg.Methods, attest.BySVID) {
		return ErrRenewsForever
	}
	for _, m := range a.cfg.Methods {
		switch m {
		case attest.ByJoinToken:
			a.attest.Tokens = a.tokens
		case attest.BySVID:
			a.attest.Verify = a.renewing
		case attest.ByTokenReview:
			if a.cfg.Reviewer == nil {
				return errors.New("there is nobody to ask about tokens")
			}
			a.attest.Reviewer = a.cfg.Reviewer
		default:
			return fmt.Errorf("a caller cannot prove who it is by %q", m)
		}
	}
	return nil
}

// ErrRenewsForever is the answer to attest.BySVID beside attest.ByTokenReview.
var ErrRenewsForever = fmt.Errorf("%s beside %s: a workload that the platform has deleted would renew its certificate by itself for ever; leave %[1]s out, the token of the platform is asked for each time", attest.BySVID, attest.ByTokenReview)

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

// BundleDocument returns the trust bundle in the SPIFFE bundle format: roots, keys
// of JWT-SVIDs and the sequence number. It asks to be read four times in the life of a
// certificate, which is how long the next root is told of before it signs.
func (a *Authority) BundleDocument() ([]byte, error) {
	return a.roots.Document(max(time.Second, min(bundle.RefreshHint, a.cfg.TTL/4)))
}

// Bundle returns what the trust bundle says now; it is not to be changed.
func (a *Authority) Bundle() bundle.Content { return a.roots.Content() }

// SetFederated replaces the bundles of other trust domains, which workloads are told of
// together with the own one. They vouch for nobody here: certificates and tokens of this
// authority are for workloads of its own trust domain.
func (a *Authority) SetFederated(others map[spiffeid.TrustDomain]bundle.Content) {
	a.roots.SetFederated(others)
}

// Federated returns the bundles of other trust domains; they are not to be changed.
func (a *Authority) Federated() map[spiffeid.TrustDomain]bundle.Content { return a.roots.Federated() }

// Run keeps the authority's own keys fresh, and takes the steps of rotations, until
// ctx ends. Without it they are taken when a certificate is asked for.
func (a *Authority) Run(ctx context.Context) { a.source.run(ctx) }

// Rotate begins the replacement of the root (and what is below it) or of the issuer:
// kind is "root" or "issuer". It returns when the new keys are made and trusted; the
// rest is done by Run.
func (a *Authority) Rotate(kind string) error {
	now := a.cfg.Now()
	if err := a.asked(now, audit.Record{Kind: "rotate", Key: kind}); err != nil {
		return err
	}
	if err := a.source.rotate(kind, now); err != nil {
		return fmt.Errorf("ca: %w", err)
	}
	return nil
}

// Taint says that others may know the key of a name (see Status): the root that is
// above what it signed is replaced, and trusted no more as soon as those that are
// live have renewed. The reason is one line of at most MaxReason bytes.
func (a *Authority) Taint(name, reason string) error {
	if err := checkReason(reason); err != nil {
		return err
	}
	now := a.cfg.Now()
	if err := a.asked(now, audit.Record{Kind: "taint", Key: name, Reason: reason}); err != nil {
		return err
	}
	if err := a.source.taint(name, reason, now); err != nil {
		return fmt.Errorf("ca: %w", err)
	}
	return nil
}

// MaxReason is the longest reason of a taint, in bytes.
const MaxReason = 1 << 10

// ErrReason is the answer to a taint whose reason cannot be kept.
var ErrReason = fmt.Errorf("the reason is not one printable line of 1 to %d bytes", MaxReason)

func checkReason(reason string) error {
	bad := func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }
	if reason == "" || len(reason) > MaxReason || strings.ContainsFunc(reason, bad) {
		return fmt.Errorf("ca: %w", ErrReason)
	}
	return nil
}

// asked writes down what is asked of the authority's own keys, whether or not it is
// done.
func (a *Authority) asked(now time.Time, r audit.Record) error {
	if len(r.Key) > maxName {
		return fmt.Errorf("ca: %w as one of %d bytes", ErrNoKey, len(r.Key))
	}
	r.Time, r.Method = now.UTC(), "local"
	if err := a.log.Write(r); err != nil {
		return fmt.Errorf("ca: %s: %w", r.Kind, err)
	}
	return nil
}

// maxName is longer than the name of any key, in bytes.
const maxName = 256

// WatchBundle returns a channel that gets a value when Bundle or Federated has changed.
// It is closed when ctx ends.
func (a *Authority) WatchBundle(ctx context.Context) <-chan struct{} { return a.roots.Watch(ctx) }

// Issue makes an X.509-SVID for the workload identity spiffeID and the holder
// of pub: leaf first, then the issuer. ttl 0 means the configured lifetime,
// which is also the longest; no certificate outlives its issuer.
func (a *Authority) Issue(spiffeID string, pub crypto.PublicKey, ttl time.Duration) ([]*x509.Certificate, error) {
	id, err := a.workload(spiffeID)
	if err != nil {
		return nil, err
	}
	return a.issue(asker{Caller: attest.Caller{ID: id, Method: "local"}}, pub, ttl)
}

// workload reads an identity that can be given to others.
func (a *Authority) workload(spiffeID string) (spiffeid.ID, error) {
	id, err := validate.WorkloadID(spiffeID, a.td)
	if err != nil {
		return spiffeid.ID{}, fmt.Errorf("ca: %w", err)
	}
	if id == validate.ControllerID(a.td) {
		return spiffeid.ID{}, fmt.Errorf("ca: %q is the control plane's own identity", id)
	}
	return id, nil
}

// asker is whom a certificate is for, for the audit log.
type asker struct {
	attest.Caller
	peer string
}

func (a *Authority) issue(who asker, pub crypto.PublicKey, ttl time.Duration) ([]*x509.Certificate, error) {
	id := who.ID
	if err := validate.PublicKey(pub); err != nil {
		return nil, fmt.Errorf("ca: certificate of %q: %w", id, err)
	}
	if ttl <= 0 || ttl > a.cfg.TTL {
		ttl = a.cfg.TTL
	}
	now := a.cfg.Now()
	by, err := a.source.current(now)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	tmpl, err := template.Workload(id, by.certificate(), ttl, now)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	leaf, err := sign.Certificate(tmpl, by.certificate(), pub, by.signer)
	if err != nil {
		return nil, fmt.Errorf("ca: certificate of %q: %w", id, err)
	}
	chain := append([]*x509.Certificate{leaf}, by.chain...)
	want := validate.Issuance{ID: id, PublicKey: pub, NotAfter: by.certificate().NotAfter}
	if err := validate.Issued(chain, a.roots, now, want); err != nil {
		return nil, fmt.Errorf("ca: the new certificate of %q is wrong and was dropped: %w", id, err)
	}
	err = a.log.Write(audit.Record{
		Time: now.UTC(), Kind: audit.X509SVID, SPIFFEID: id.String(), Workload: who.Workload, Method: string(who.Method), Peer: who.peer,
		Serial: leaf.SerialNumber.Text(16), PublicKey: audit.Fingerprint(pub), Issuer: by.certificate().SerialNumber.Text(16), NotAfter: leaf.NotAfter,
	})
	if err != nil {
		return nil, fmt.Errorf("ca: certificate of %q: %w", id, err)
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
	if c.Methods == nil {
		c.Methods = []attest.Method{attest.ByJoinToken, attest.BySVID}
	}
	if c.AuditFile == "" {
		c.AuditFile = filepath.Join(c.Dir, "audit.jsonl")
	}
}

func tokenDir(dir string) string { return filepath.Join(dir, "tokens") }
