package build

import (
	"crypto/x509"
	"testing"

	"github.com/meshc/meshc/dataplane/identity"
	"github.com/meshc/meshc/dataplane/resource"
)

type lasting struct{ current *identity.Identity }

func (l *lasting) Current() *identity.Identity { return l.current }

// An expired identity lets no handshake succeed, and ends no connection: the judge of
// those that are there has the roots that were known last, and the next ones once there
// are any.
func TestRootsOutliveTheIdentityForConnectionsThatAreThere(t *testing.T) {
	first, next := x509.NewCertPool(), x509.NewCertPool()
	source := &lasting{}
	s := NewSecrets(source)
	handshake, judge := s.Bundle(resource.RootSecret), judging{s}.Bundle(resource.RootSecret)
	if handshake() != nil || judge() != nil {
		t.Fatal("roots without an identity")
	}
	source.current = &identity.Identity{Bundle: first}
	if handshake() != first {
		t.Fatal("a handshake does not see the roots")
	}
	source.current = nil
	if handshake() != nil {
		t.Error("a handshake goes on with an identity that has expired")
	}
	if judge() != first {
		t.Error("connections that are there are judged without roots")
	}
	source.current = &identity.Identity{Bundle: next}
	if judge() != next {
		t.Error("the judge does not see new roots")
	}
	if other := (judging{s}).Bundle("meshc-bundle/gone"); other() != nil {
		t.Error("a bundle that was taken away is still believed")
	}
}
