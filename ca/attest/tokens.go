// Package attest answers who is asking for a certificate: the holder of a
// one-time join token, of a token that a platform vouches for, or of a certificate
// that it renews.
package attest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/ca/validate"
	"github.com/meshc/meshc/dataplane/identity/privatefile"
)

// MaxTokenTTL is the longest time that a join token may wait for its use.
const MaxTokenTTL = 24 * time.Hour

const tokenBytes = 32

// ErrToken is the one answer for a token that is unknown, used or expired:
// whoever guesses learns nothing from it.
var ErrToken = errors.New("join token is unknown, used or expired")

// Tokens are the join tokens of one authority, one file each, named by the
// SHA-256 of the token; the token itself is stored nowhere. Several processes
// may use one directory: the removal of a file is what uses a token up, and
// only one of them can do that.
type Tokens struct {
	dir string
	td  spiffeid.TrustDomain
	now func() time.Time
}

// Grant is what a token stands for.
type Grant struct {
	ID       spiffeid.ID
	Workload string // "namespace/name" of whom the token was made for, "" when not told; for the audit log
	expires  time.Time
}

// record is a Grant on disk.
type record struct {
	SPIFFEID string    `json:"spiffeID"`
	Workload string    `json:"workload,omitempty"`
	Expires  time.Time `json:"expires"`
}

// OpenTokens returns the tokens in dir, which is made when missing. now is the
// clock; nil means time.Now.
func OpenTokens(dir string, td spiffeid.TrustDomain, now func() time.Time) (*Tokens, error) {
	if err := privatefile.EnsureDir(dir); err != nil {
		return nil, fmt.Errorf("join tokens: %w", err)
	}
	if now == nil {
		now = time.Now
	}
	return &Tokens{dir: dir, td: td, now: now}, nil
}

// TokenOption adds to what a token says.
type TokenOption func(*record)

// ForWorkload records the instance that the token is for ("namespace/id"); the
// audit log shows it when the token is used.
func ForWorkload(id string) TokenOption {
	return func(r *record) { r.Workload = id }
}

// CreateJoinToken makes a token that is good for one certificate of spiffeID
// within ttl (at most MaxTokenTTL).
func (t *Tokens) CreateJoinToken(spiffeID string, ttl time.Duration, opts ...TokenOption) (string, error) {
	id, err := validate.WorkloadID(spiffeID, t.td)
	if err != nil {
		return "", fmt.Errorf("join token: %w", err)
	}
	if ttl <= 0 || ttl > MaxTokenTTL {
		return "", fmt.Errorf("join token for %q: lifetime %s is not between 0 and %s", id, ttl, MaxTokenTTL)
	}
	if id == validate.ControllerID(t.td) {
		return "", fmt.Errorf("join token: %q is the control plane's own identity", id)
	}
	if err := t.sweep(); err != nil {
		return "", err
	}
	rec := record{SPIFFEID: id.String(), Expires: t.now().Add(ttl).UTC()}
	for _, o := range opts {
		o(&rec)
	}
	data, err := json.Marshal(rec)
	if err != nil {
		return "", fmt.Errorf("join token for %q: %w", id, err)
	}
	raw := make([]byte, tokenBytes)
	if _, err := rand.Read(raw); err != nil {
		return "", fmt.Errorf("join token for %q: %w", id, err)
	}
	token := base64.RawURLEncoding.EncodeToString(raw)
	if err := privatefile.Write(t.path(raw), data); err != nil {
		return "", fmt.Errorf("join token for %q: %w", id, err)
	}
	return token, nil
}

// Look returns what token stands for and leaves it usable.
func (t *Tokens) Look(token string) (Grant, error) {
	raw, err := decode(token)
	if err != nil {
		return Grant{}, err
	}
	grant, err := t.load(t.path(raw))
	if errors.Is(err, fs.ErrNotExist) {
		return Grant{}, ErrToken
	}
	if err != nil {
		return Grant{}, err
	}
	if !t.now().Before(grant.expires) {
		return Grant{}, ErrToken
	}
	return grant, nil
}

// Use returns what token stands for and uses it up. Of several calls, in
// however many processes, at most one succeeds; and once it has, the token
// stays used through a crash, because the removal is on disk before Use
// returns.
func (t *Tokens) Use(token string) (Grant, error) {
	grant, err := t.Look(token)
	if err != nil {
		return Grant{}, err
	}
	raw, err := decode(token)
	if err != nil {
		return Grant{}, err
	}
	if err := privatefile.Remove(t.path(raw)); errors.Is(err, fs.ErrNotExist) {
		return Grant{}, ErrToken
	} else if err != nil {
		return Grant{}, fmt.Errorf("join token for %q: %w", grant.ID, err)
	}
	return grant, nil
}

func (t *Tokens) load(path string) (Grant, error) {
	data, err := privatefile.Read(path)
	if err != nil {
		return Grant{}, fmt.Errorf("join token: %w", err)
	}
	var rec record
	if err := json.Unmarshal(data, &rec); err != nil {
		return Grant{}, fmt.Errorf("join token: file %s: %w", path, err)
	}
	id, err := validate.WorkloadID(rec.SPIFFEID, t.td)
	if err != nil {
		return Grant{}, fmt.Errorf("join token: file %s: %w", path, err)
	}
	return Grant{ID: id, Workload: rec.Workload, expires: rec.Expires}, nil
}

// sweep removes expired tokens, so that the directory does not grow.
func (t *Tokens) sweep() error {
	entries, err := os.ReadDir(t.dir)
	if err != nil {
		return fmt.Errorf("join tokens: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(t.dir, e.Name())
		grant, err := t.load(path)
		if err != nil || t.now().Before(grant.expires) {
			continue // unreadable files are left for their owner to look at
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("join tokens: %w", err)
		}
	}
	return nil
}

func (t *Tokens) path(raw []byte) string {
	sum := sha256.Sum256(raw)
	return filepath.Join(t.dir, hex.EncodeToString(sum[:]))
}

func decode(token string) ([]byte, error) {
	if len(token) != base64.RawURLEncoding.EncodedLen(tokenBytes) {
		return nil, ErrToken
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) != tokenBytes {
		return nil, ErrToken
	}
	return raw, nil
}
