package build

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"github.com/meshc/meshc/dataplane/identity"
	"github.com/meshc/meshc/dataplane/identity/secretfile"
	"github.com/meshc/meshc/dataplane/resource"
)

// Identity is where the proxy's own certificate and roots come from. Current
// gives nil while there is none.
type Identity interface {
	Current() *identity.Identity
}

// Secrets implements transport.Secrets: the proxy's own identity stands for
// what stock Envoy asks meshc-agent for, and bundles are those of the newest
// set. It is safe for concurrent use.
type Secrets struct {
	identity Identity // may be nil
	files    *secretfile.Store
	bundles  atomic.Pointer[map[string]*x509.CertPool]
	roots    atomic.Pointer[x509.CertPool] // of the identity, as the last who asked saw them
	changed  chan struct{}                 // gets a value when the bundles have
	now      func() time.Time
}

// NewSecrets gives Secrets without bundles. identity may be nil: then every
// handshake that needs a certificate fails.
func NewSecrets(identity Identity) *Secrets {
	return &Secrets{identity: identity, changed: make(chan struct{}, 1), now: time.Now}
}

// SetClock makes now the clock by which certificates are valid. It is called before the
// Secrets are used.
func (s *Secrets) SetClock(now func() time.Time) { s.now = now }

// Now is the time by the clock that certificates are valid by.
func (s *Secrets) Now() time.Time { return s.now() }

// Changed gives a channel that gets a value when a bundle of the newest set is another
// one than before.
func (s *Secrets) Changed() <-chan struct{} { return s.changed }

// ReadFiles makes store the place of secrets that the mesh names: without it
// there are none. It is called before the Secrets are used.
func (s *Secrets) ReadFiles(store *secretfile.Store) { s.files = store }

// FilesChanged gives a channel that is closed when a file of secrets changes, nil where
// there are none.
func (s *Secrets) FilesChanged() <-chan struct{} {
	if s.files == nil {
		return nil
	}
	return s.files.Changed()
}

// Ends gives when the certificates end that the newest set names.
func (s *Secrets) Ends() map[string]time.Time { return s.files.Ends() }

// Certificate implements transport.Secrets.
func (s *Secrets) Certificate(name string) func() (*tls.Certificate, error) {
	return func() (*tls.Certificate, error) {
		if secretfile.Known(name) {
			return s.named(name)
		}
		if name != resource.IdentitySecret {
			return nil, fmt.Errorf("secret %q: not a certificate of this proxy", name)
		}
		if current := s.current(); current != nil {
			return &current.Certificate, nil
		}
		return nil, errors.New("this proxy has no identity yet")
	}
}

// named gives a certificate that the mesh names.
func (s *Secrets) named(name string) (*tls.Certificate, error) {
	secret, err := s.files.Get(name)
	switch {
	case err != nil:
		return nil, err
	case secret.Certificate == nil:
		return nil, fmt.Errorf("secret %q: not a certificate", name)
	}
	return secret.Certificate, nil
}

// Bundle implements transport.Secrets.
func (s *Secrets) Bundle(name string) func() *x509.CertPool {
	if secretfile.Known(name) {
		return func() *x509.CertPool {
			if secret, err := s.files.Get(name); err == nil {
				return secret.Authorities
			}
			return nil
		}
	}
	if name == resource.RootSecret {
		return func() *x509.CertPool {
			if current := s.current(); current != nil {
				s.roots.Store(current.Bundle)
				return current.Bundle
			}
			return nil
		}
	}
	return func() *x509.CertPool {
		if bundles := s.bundles.Load(); bundles != nil {
			return (*bundles)[name]
		}
		return nil
	}
}

// judging gives bundles to those who judge connections that are there. That the identity
// of this proxy has expired says nothing of its peers: they are held to the roots that
// were known last, or one change of another bundle would end all connections of the mesh.
type judging struct{ *Secrets }

// Bundle implements transport.Secrets.
func (j judging) Bundle(name string) func() *x509.CertPool {
	now := j.Secrets.Bundle(name)
	if name != resource.RootSecret {
		return now
	}
	return func() *x509.CertPool {
		if pool := now(); pool != nil {
			return pool
		}
		return j.roots.Load()
	}
}

func (s *Secrets) current() *identity.Identity {
	if s.identity == nil {
		return nil
	}
	return s.identity.Current()
}

// use makes the set's bundles the ones of the next handshake, and its files those that are
// looked at.
func (s *Secrets) use(set *Set) {
	s.files.Keep(set.files())
	bundles := make(map[string]*x509.CertPool, len(set.Secrets))
	for name, secret := range set.Secrets {
		bundles[name] = secret.Bundle
	}
	old := s.bundles.Swap(&bundles)
	if old == nil || maps.EqualFunc(*old, bundles, (*x509.CertPool).Equal) {
		return
	}
	select {
	case s.changed <- struct{}{}:
	default: // the last news is still unread; it covers this one too
	}
}
