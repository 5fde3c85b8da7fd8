// Package secretfile keeps the certificates, keys and authorities that a mesh
// names and never holds: it reads them from a directory on this machine, and
// again when they change. What cannot be read leaves what was read before.
//
// Names are those of SDS secrets:
//
//	certificate|secret|NAME   NAME/tls.crt and NAME/tls.key, as a Kubernetes TLS secret is mounted
//	certificate|file|PATH     one PEM file with the chain and its key
//	ca|secret|NAME            NAME/ca.crt
//	ca|file|PATH              one PEM file with certificates of authorities
package secretfile

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path"
	"strings"
	"sync"
	"time"
)

// Prefixes of names: what a secret is used as.
const (
	CertificatePrefix = "certificate|"
	AuthoritiesPrefix = "ca|"
)

// maxBytes bounds one file; every is how often files are looked at.
const (
	maxBytes = 1 << 20
	every    = time.Second
)

// ErrNoDirectory is what every secret of a nil Store is.
var ErrNoDirectory = errors.New("this proxy has no directory of secrets")

// Secret is one secret, whole. It is immutable.
type Secret struct {
	PEM         []byte           // of the authorities, or of the chain
	Key         []byte           // PEM; nil for authorities
	Certificate *tls.Certificate // nil for authorities
	Authorities *x509.CertPool   // nil for a certificate
}

// Format hides the key whatever the verb.
func (*Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }

// LogValue hides the key from slog.
func (*Secret) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// Store reads secrets from one directory. It is safe for concurrent use; a nil
// Store has none.
type Store struct {
	root *os.Root
	log  *slog.Logger

	mu      sync.Mutex
	known   map[string]*entry
	wanted  map[string]bool // what Keep was told last; nil: everything that is asked for
	changed chan struct{}   // closed and replaced when a secret has changed
}

// entry is one secret that somebody has asked for.
type entry struct {
	secret *Secret // the last that could be read
	err    error   // of the last attempt
}

// Open takes an existing directory; links inside it may not lead out of it.
// Close gives it back.
func Open(dir string, log *slog.Logger) (*Store, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("directory of secrets: %w", err)
	}
	return &Store{root: root, log: log, known: map[string]*entry{}, changed: make(chan struct{})}, nil
}

// Close ends the use of the directory; secrets that were read stay.
func (s *Store) Close() error { return s.root.Close() }

// Known says whether name has the form of a secret of this package.
func Known(name string) bool {
	_, _, err := split(name)
	return err == nil
}

// Get gives a secret, read now if nobody has asked for it before, else as Run
// has last read it. The error names the secret.
func (s *Store) Get(name string) (*Secret, error) {
	if s == nil {
		return nil, fmt.Errorf("secret %q: %w", name, ErrNoDirectory)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.known[name]
	if e == nil {
		if !Known(name) {
			return nil, fmt.Errorf("secret %q: not the name of a secret", name)
		}
		e = &entry{}
		s.known[name] = e
		s.refresh(name, e)
	}
	if e.secret != nil {
		return e.secret, nil
	}
	return nil, e.err
}

// Keep says which secrets are in use from now on: they are read before the first handshake
// asks for them, and others are no longer looked at. A connection that is drained may ask
// for one of those still; it is read anew, once. Without Keep all that were asked for are.
func (s *Store) Keep(names map[string]bool) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted = names
	for name := range names {
		if s.known[name] == nil && Known(name) {
			e := &entry{}
			s.known[name] = e
			s.refresh(name, e)
		}
	}
	s.forget()
}

// forget drops what is not in use; the lock is held.
func (s *Store) forget() {
	if s.wanted == nil {
		return
	}
	for name := range s.known {
		if !s.wanted[name] {
			delete(s.known, name)
		}
	}
}

// Ends gives, for each certificate in use, when the first of its chain ends.
func (s *Store) Ends() map[string]time.Time {
	out := map[string]time.Time{}
	if s == nil {
		return out
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, e := range s.known {
		if e.secret == nil || e.secret.Certificate == nil || s.wanted != nil && !s.wanted[name] {
			continue
		}
		for _, der := range e.secret.Certificate.Certificate {
			c, err := x509.ParseCertificate(der)
			if err != nil {
				continue // no handshake would get by it either
			}
			if at, known := out[name]; !known || c.NotAfter.Before(at) {
				out[name] = c.NotAfter
			}
		}
	}
	return out
}

// Changed gives a channel that is closed when a secret changes.
func (s *Store) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// Run looks at the files of the secrets that were asked for, until ctx ends.
func (s *Store) Run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.Reload()
		}
	}
}

// Reload reads every secret that was asked for again.
func (s *Store) Reload() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
	news := false
	for name, e := range s.known {
		news = s.refresh(name, e) || news
	}
	if news {
		close(s.changed)
		s.changed = make(chan struct{})
	}
}

// refresh reads one secret and says whether it is another one now. The lock is
// held: the files are small and local.
func (s *Store) refresh(name string, e *entry) bool {
	secret, err := s.read(name)
	if err != nil {
		err = fmt.Errorf("secret %q: %w", name, err)
		if e.err == nil || e.err.Error() != err.Error() {
			s.log.Warn("secret cannot be read", "error", err, "kept", e.secret != nil)
		}
		e.err = err
		return false
	}
	e.err = nil
	if old := e.secret; old != nil && bytes.Equal(old.PEM, secret.PEM) && bytes.Equal(old.Key, secret.Key) {
		return false
	}
	e.secret = secret
	s.log.Info("secret read", "name", name)
	if c := secret.Certificate; c != nil && time.Now().After(c.Leaf.NotAfter) {
		s.log.Warn("certificate has expired", "name", name, "notAfter", c.Leaf.NotAfter)
	}
	return true
}

func split(name string) (kind, at string, err error) {
	use, rest, _ := strings.Cut(name, "|")
	kind, at, _ = strings.Cut(rest, "|")
	switch {
	case use+"|" != CertificatePrefix && use+"|" != AuthoritiesPrefix, kind != "secret" && kind != "file":
		return "", "", errors.New("not the name of a secret")
	case at == "" || !path.IsAbs("/"+at) || path.Clean("/"+at) != "/"+at || strings.ContainsAny(at, "\\\x00"):
		return "", "", errors.New("not a path below the directory of secrets")
	case kind == "secret" && strings.Contains(at, "/"):
		return "", "", errors.New("not the name of a secret")
	}
	return kind, at, nil
}

func (s *Store) read(name string) (*Secret, error) {
	kind, at, err := split(name)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(name, AuthoritiesPrefix) {
		if kind == "secret" {
			at += "/ca.crt"
		}
		return s.authorities(at)
	}
	chain, key := at, at
	if kind == "secret" {
		chain, key = at+"/tls.crt", at+"/tls.key"
	}
	return s.certificate(chain, key)
}

func (s *Store) authorities(at string) (*Secret, error) {
	text, err := s.file(at)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no PEM certificate", at)
	}
	return &Secret{PEM: text, Authorities: pool}, nil
}

// certificate says nothing of what is in the key's file.
func (s *Store) certificate(chainFile, keyFile string) (*Secret, error) {
	chain, err := s.file(chainFile)
	if err != nil {
		return nil, err
	}
	key := chain
	if keyFile != chainFile {
		if key, err = s.file(keyFile); err != nil {
			return nil, err
		}
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s are not a certificate and its key", chainFile, keyFile)
	}
	return &Secret{PEM: chain, Key: key, Certificate: &pair}, nil
}

func (s *Store) file(at string) ([]byte, error) {
	f, err := s.root.Open(at)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err == nil && len(b) > maxBytes {
		err = fmt.Errorf("%s is larger than %d bytes", at, maxBytes)
	}
	return b, err
}
