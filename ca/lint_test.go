package ca

import (
	"crypto/x509"
	"slices"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	zx509 "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"

	"github.com/meshc/meshc/ca/slots"
)

// lints are those of X.509 itself: what the CA/Browser Forum and root programs ask
// of public web servers is not asked of a mesh.
func lints(t *testing.T) lint.Registry {
	t.Helper()
	r, err := lint.GlobalRegistry().Filter(lint.FilterOptions{IncludeSources: lint.SourceList{lint.RFC5280, lint.RFC5480, lint.RFC5891, lint.RFC8813, lint.RFC3279, lint.Community}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// tolerated are findings below an error that are meant so.
var tolerated = []string{
	"w_ext_subject_key_identifier_missing_sub_cert", // RFC 5280 section 4.2.1.2: SHOULD; nobody looks leaves up by it
}

// Issue 7: every issued certificate passes zlint and go-spiffe's validation. Kinds:
// root, issuer, workload, controller; of the first keys and of rotated ones.
func TestEveryKindOfCertificatePassesZlintAndGoSpiffe(t *testing.T) {
	c := newClock()
	a := open(t, Config{Now: c.now})
	registry := lints(t)
	for _, what := range []string{"first", "rotated"} {
		chain := issue(t, a, cart, 0)
		controller, err := a.ControllerCertificate()
		if err != nil {
			t.Fatal(err)
		}
		kinds := map[string]*x509.Certificate{"workload": chain[0], "issuer": chain[1], "controller": controller.Leaf}
		for _, root := range a.Bundle().Roots {
			kinds["root "+root.SerialNumber.String()] = root
		}
		for kind, cert := range kinds {
			parsed, err := zx509.ParseCertificate(cert.Raw)
			if err != nil {
				t.Fatal(err)
			}
			ran := 0
			for name, r := range zlint.LintCertificateEx(parsed, registry).Results {
				ran++
				if r.Status >= lint.Warn && !slices.Contains(tolerated, name) {
					t.Errorf("%s %s: %s: %s %s", what, kind, name, r.Status, r.Details)
				}
			}
			if ran < 100 {
				t.Errorf("only %d lints ran", ran)
			}
		}
		if id, _, err := x509svid.Verify(chain, a.roots, x509svid.WithTime(c.now())); err != nil || id.String() != cart {
			t.Errorf("go-spiffe: %q, %v", id, err)
		}
		if what == "first" {
			if err := a.Rotate(string(slots.Root)); err != nil {
				t.Fatal(err)
			}
		}
		c.add(a.cfg.TTL)
	}
}

// Issue 7: JWT-SVID and a trust bundle with a sequence number, as go-spiffe reads
// them.
func TestJWTSVIDAndBundleAsGoSpiffeReadsThem(t *testing.T) {
	a := open(t, Config{})
	token, err := a.IssueJWT(cart, []string{"billing", "audit"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	document, err := a.BundleDocument()
	if err != nil {
		t.Fatal(err)
	}
	read, err := spiffebundle.Parse(a.td, document)
	if err != nil {
		t.Fatal(err)
	}
	svid, err := jwtsvid.ParseAndValidate(token, read, []string{"billing"})
	if err != nil || svid.ID.String() != cart {
		t.Fatalf("%v, %v", svid, err)
	}
	if left := time.Until(svid.Expiry); left > JWTTTL || left < JWTTTL-time.Minute {
		t.Errorf("it lasts %s", left)
	}
	if _, err := jwtsvid.ParseAndValidate(token, read, []string{"other"}); err == nil {
		t.Error("a token for another audience was accepted")
	}
	if n, ok := read.SequenceNumber(); !ok || n != 1 {
		t.Errorf("sequence %d, %v", n, ok)
	}
	if _, ok := read.RefreshHint(); !ok || len(read.X509Authorities()) != 1 || len(read.JWTAuthorities()) != 1 {
		t.Errorf("the bundle is %s", document)
	}
	if err := a.Rotate("root"); err != nil {
		t.Fatal(err)
	}
	if next := a.Bundle(); next.Sequence != 2 || len(next.Roots) != 2 || len(next.Keys) != 2 {
		t.Errorf("after a rotation began: %+v", next)
	}
	other := open(t, Config{})
	if _, err := jwtsvid.ParseAndValidate(token, other.roots, []string{"billing"}); err == nil {
		t.Error("a token of another authority was accepted")
	}
}

func TestJWTSVIDIsRefused(t *testing.T) {
	a := open(t, Config{})
	for name, c := range map[string]struct {
		id       string
		audience []string
	}{
		"another trust domain": {"spiffe://other.example/ns/a/sa/b", []string{"x"}},
		"no audience":          {cart, nil},
		"an empty audience":    {cart, []string{"x", ""}},
		"too many audiences":   {cart, slices.Repeat([]string{"x"}, maxAudiences+1)},
	} {
		if _, err := a.IssueJWT(c.id, c.audience, 0); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
