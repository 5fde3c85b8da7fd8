package bundle

import (
	"context"
	"crypto/x509"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"go.uber.org/goleak"
)

func TestWatchTellsOfChangesOnly(t *testing.T) {
	defer goleak.VerifyNone(t)
	td := spiffeid.RequireTrustDomainFromString("mesh.example")
	a, b := &x509.Certificate{Raw: []byte("a")}, &x509.Certificate{Raw: []byte("b")}
	h := New(td, Content{Roots: []*x509.Certificate{a}})
	ctx, cancel := context.WithCancel(t.Context())
	news := h.Watch(ctx)
	h.Set(Content{Roots: []*x509.Certificate{a, b}})
	select {
	case <-news:
	case <-time.After(10 * time.Second):
		t.Fatal("no news of a change")
	}
	h.Set(Content{Roots: []*x509.Certificate{a, b}}) // the same again
	cancel()
	if _, open := <-news; open {
		t.Error("news without a change")
	}
	if got, err := h.GetX509BundleForTrustDomain(td); err != nil || len(got.X509Authorities()) != 2 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := h.GetX509BundleForTrustDomain(spiffeid.RequireTrustDomainFromString("other.example")); err == nil {
		t.Error("a bundle for a foreign trust domain")
	}
}
