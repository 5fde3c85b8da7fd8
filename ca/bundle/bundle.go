// Package bundle holds the trust bundle of the authority's own trust domain: what
// workloads verify each other and tokens against, and the news that it changed.
package bundle

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// RefreshHint is how often a reader of the document should read it again, at the least.
const RefreshHint = 5 * time.Minute

// Content is what a bundle says at one time.
type Content struct {
	// Roots of X.509-SVIDs, the one that signs first.
	Roots []*x509.Certificate
	// Keys of JWT-SVIDs by key ID.
	Keys map[string]crypto.PublicKey
	// Sequence grows with each change; 0 = not known.
	Sequence uint64
}

// Holder is a bundle that may change. It is safe for concurrent use.
type Holder struct {
	td spiffeid.TrustDomain

	mu        sync.Mutex
	content   Content
	federated map[spiffeid.TrustDomain]Content
	changed   chan struct{} // closed and replaced by Set and SetFederated
}

// New returns a holder for trust domain td.
func New(td spiffeid.TrustDomain, c Content) *Holder {
	return &Holder{td: td, content: c, changed: make(chan struct{})}
}

// Set replaces the content and wakes the watchers if it differs. The order of the
// roots is part of it.
func (h *Holder) Set(c Content) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.Equal(&h.content) {
		return
	}
	h.content = c
	close(h.changed)
	h.changed = make(chan struct{})
}

// SetFederated replaces the bundles of other trust domains, which are told together with
// this one and verify nobody here, and wakes the watchers.
func (h *Holder) SetFederated(others map[spiffeid.TrustDomain]Content) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if maps.EqualFunc(h.federated, others, func(a, b Content) bool { return a.Equal(&b) }) {
		return
	}
	h.federated = others
	close(h.changed)
	h.changed = make(chan struct{})
}

// Federated returns the bundles of other trust domains; they are not to be changed.
func (h *Holder) Federated() map[spiffeid.TrustDomain]Content {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.federated
}

// Content returns what the bundle says now; it is not to be changed.
func (h *Holder) Content() Content {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.content
}

// Equal says whether two bundles say the same, in the same order.
func (c *Content) Equal(o *Content) bool {
	if c.Sequence != o.Sequence || len(c.Roots) != len(o.Roots) {
		return false
	}
	for i := range c.Roots {
		if !c.Roots[i].Equal(o.Roots[i]) {
			return false
		}
	}
	return maps.EqualFunc(c.Keys, o.Keys, func(a, b crypto.PublicKey) bool {
		k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
		return ok && k.Equal(b)
	})
}

// GetX509BundleForTrustDomain makes Holder a go-spiffe x509bundle.Source.
func (h *Holder) GetX509BundleForTrustDomain(td spiffeid.TrustDomain) (*x509bundle.Bundle, error) {
	if td != h.td {
		return nil, fmt.Errorf("no X.509 bundle for trust domain %q", td.Name())
	}
	return x509bundle.FromX509Authorities(td, h.Content().Roots), nil
}

// GetJWTBundleForTrustDomain makes Holder a go-spiffe jwtbundle.Source.
func (h *Holder) GetJWTBundleForTrustDomain(td spiffeid.TrustDomain) (*jwtbundle.Bundle, error) {
	if td != h.td {
		return nil, fmt.Errorf("no JWT bundle for trust domain %q", td.Name())
	}
	return jwtbundle.FromJWTAuthorities(td, h.Content().Keys), nil
}

// PEM returns the roots, one PEM block each.
func (h *Holder) PEM() []byte {
	var out []byte
	for _, c := range h.Content().Roots {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

// RootsByDomain returns the roots of X.509-SVIDs, DER one after the other, of the own
// trust domain and of the others, each by its SPIFFE ID.
func (h *Holder) RootsByDomain() map[string][]byte {
	out := map[string][]byte{}
	add := func(td spiffeid.TrustDomain, c Content) {
		for _, root := range c.Roots {
			out[td.IDString()] = append(out[td.IDString()], root.Raw...)
		}
	}
	for td, c := range h.Federated() {
		add(td, c)
	}
	add(h.td, h.Content())
	return out
}

// KeysByDomain returns the keys of JWT-SVIDs, likewise, as JWK sets with the sequence
// number of the bundle that they are of.
func (h *Holder) KeysByDomain() (map[string][]byte, error) {
	out := map[string][]byte{}
	add := func(td spiffeid.TrustDomain, c Content) (err error) {
		b := spiffebundle.FromJWTAuthorities(td, c.Keys)
		if c.Sequence != 0 {
			b.SetSequenceNumber(c.Sequence)
		}
		out[td.IDString()], err = b.Marshal()
		return err
	}
	for td, c := range h.Federated() {
		if err := add(td, c); err != nil {
			return nil, err
		}
	}
	return out, add(h.td, h.Content())
}

// Document returns the bundle in the SPIFFE bundle format (SPIFFE Trust Domain and
// Bundle, section 4): a JWK set with roots, keys of tokens, sequence number and
// refresh hint.
func (h *Holder) Document(hint time.Duration) ([]byte, error) {
	c := h.Content()
	b := spiffebundle.New(h.td)
	b.SetX509Authorities(c.Roots)
	b.SetJWTAuthorities(c.Keys)
	b.SetRefreshHint(hint)
	if c.Sequence != 0 {
		b.SetSequenceNumber(c.Sequence)
	}
	return b.Marshal()
}

// Watch returns a channel that gets one value after one or more changes, until
// ctx ends; then it is closed.
func (h *Holder) Watch(ctx context.Context) <-chan struct{} {
	out := make(chan struct{}, 1)
	h.mu.Lock()
	changed := h.changed
	h.mu.Unlock()
	go func() {
		defer close(out)
		for {
			select {
			case <-ctx.Done():
				return
			case <-changed:
			}
			h.mu.Lock()
			changed = h.changed
			h.mu.Unlock()
			select {
			case out <- struct{}{}:
			default: // the last news is still unread; it covers this one too
			}
		}
	}()
	return out
}
