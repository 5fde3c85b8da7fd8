// Package bundle holds the trust bundle of the authority's own trust domain:
// the roots that workloads verify each other against, and the news that they
// changed.
package bundle

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"sync"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// Holder is a bundle that may change. It is safe for concurrent use.
type Holder struct {
	td spiffeid.TrustDomain

	mu      sync.Mutex
	roots   *x509bundle.Bundle
	changed chan struct{} // closed and replaced by Set
}

// New returns a holder of roots for trust domain td.
func New(td spiffeid.TrustDomain, roots ...*x509.Certificate) *Holder {
	return &Holder{td: td, roots: x509bundle.FromX509Authorities(td, roots), changed: make(chan struct{})}
}

// Set replaces the roots and wakes the watchers if they differ.
func (h *Holder) Set(roots ...*x509.Certificate) {
	next := x509bundle.FromX509Authorities(h.td, roots)
	h.mu.Lock()
	defer h.mu.Unlock()
	if next.Equal(h.roots) {
		return
	}
	h.roots = next
	close(h.changed)
	h.changed = make(chan struct{})
}

// GetX509BundleForTrustDomain makes Holder a go-spiffe x509bundle.Source.
func (h *Holder) GetX509BundleForTrustDomain(td spiffeid.TrustDomain) (*x509bundle.Bundle, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.roots.GetX509BundleForTrustDomain(td)
}

// PEM returns the roots, one PEM block each.
func (h *Holder) PEM() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []byte
	for _, c := range h.roots.X509Authorities() {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
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
