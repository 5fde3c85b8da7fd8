package transport

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"maps"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/Netflix/bettertls/test-suites/certutil"
	"github.com/Netflix/bettertls/test-suites/nameconstraints"
	"github.com/Netflix/bettertls/test-suites/pathbuilding"
	testcase "github.com/Netflix/bettertls/test-suites/test-case"

	"github.com/meshc/meshc/dataplane/transport/verify"
	"github.com/meshc/meshc/test/soak"
)

// tally counts what came of vectors: by what is expected of them, and what was done.
type tally map[string]int

// count takes down one vector. Longer chains than verify.MaxChain are refused before
// they are looked at, which is a limit of ours and said apart.
func (c tally) count(t *testing.T, index uint, want testcase.ExpectedResult, certs int, err error) {
	t.Helper()
	got := "accepted"
	switch {
	case err != nil && certs > verify.MaxChain:
		got = "refused for its length"
	case err != nil:
		got = "refused"
	}
	c[want.String()+" "+got]++
	if want == testcase.EXPECTED_RESULT_FAIL && err == nil {
		t.Errorf("vector %d is accepted", index)
	}
	if want == testcase.EXPECTED_RESULT_PASS && err != nil && certs <= verify.MaxChain {
		t.Errorf("vector %d is refused: %v", index, err)
	}
}

func (c tally) log(t *testing.T) {
	t.Helper()
	for _, what := range slices.Sorted(maps.Keys(c)) {
		t.Logf("%5d %s", c[what], what)
	}
}

// step is how many vectors a short run of many goes on by: to make them takes longer
// than to judge them.
func step(n uint) uint {
	if n > 100 && !soak.On() {
		return 7
	}
	return 1
}

// parsed gives the certificates of a chain. One that cannot be parsed ends a handshake.
func parsed(chain *tls.Certificate) (out []*x509.Certificate, err error) {
	for _, der := range chain.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// The vectors of BetterTLS (github.com/Netflix/bettertls) for path building and name
// constraints, as the certificates of servers outside the mesh: each that has to be
// refused is, and each that has to be accepted is, unless its chain is longer than
// verify.MaxChain. A short run takes a seventh of those for name constraints.
func TestBetterTLS(t *testing.T) {
	t.Parallel()
	root, key, err := certutil.GenerateSelfSignedCert("bettertls_trust_root")
	if err != nil {
		t.Fatal(err)
	}
	roots := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw}))
	for provider, want := range map[testcase.TestCaseProvider]uint{
		pathbuilding.NewTestCaseProvider():    81,
		nameconstraints.NewTestCaseProvider(): 9491,
	} {
		t.Run(provider.Name(), func(t *testing.T) {
			n, err := provider.GetTestCaseCount()
			if err != nil || n != want {
				t.Fatalf("%d vectors, not %d: %v", n, want, err)
			}
			byHost := map[string]*tls.Config{}
			counts := tally{}
			for i := uint(0); i < n; i += step(n) {
				vector, err := provider.GetTestCase(i)
				if err != nil {
					t.Fatal(err)
				}
				host := vector.GetHostname()
				if byHost[host] == nil {
					if byHost[host], err = Client(webContext(t, roots, dns(host)), nil); err != nil {
						t.Fatal(err)
					}
				}
				chain, err := vector.GetCertificates(root, key)
				if err != nil {
					t.Fatal(err)
				}
				certs, err := parsed(chain)
				if err == nil {
					err = byHost[host].VerifyConnection(tls.ConnectionState{PeerCertificates: certs})
				}
				counts.count(t, i, vector.ExpectedResult(), len(certs), err)
			}
			counts.log(t)
		})
	}
}

// The same graphs of trust, and the same ways to make a certificate invalid, with an
// X.509-SVID at the end, as it is verified between proxies.
func TestBetterTLSGraphsOfSVIDs(t *testing.T) {
	t.Parallel()
	counts := tally{}
	for i, vector := range pathbuilding.EXPLICIT_TEST_CASES {
		reasons := []pathbuilding.InvalidReason{vector.InvalidReason}
		if len(vector.InvalidEdges) > 0 && vector.InvalidReason == pathbuilding.INVALID_REASON_UNSPECIFIED {
			reasons = pathbuilding.InvalidReasons()[1:]
		}
		want := testcase.ExpectedResult(testcase.EXPECTED_RESULT_FAIL)
		if len(vector.TrustGraph.Reachable(vector.InvalidEdges, vector.SrcNode, vector.DstNode)) > 0 {
			want = testcase.EXPECTED_RESULT_PASS
		}
		for _, reason := range reasons {
			root, certs := svidOf(t, vector, reason)
			roots := x509.NewCertPool()
			roots.AddCert(root)
			_, err := verify.Chain(certs, roots, x509.ExtKeyUsageClientAuth, time.Now())
			counts.count(t, uint(i), want, len(certs), err)
		}
	}
	counts.log(t)
}

// svidOf makes the certificates of a graph: the leaf first, then all the others.
func svidOf(t *testing.T, vector *pathbuilding.ExplicitTestCase, reason pathbuilding.InvalidReason) (root *x509.Certificate, certs []*x509.Certificate) {
	t.Helper()
	self, keys := map[string]*x509.Certificate{}, map[string]crypto.Signer{}
	for _, name := range vector.TrustGraph.NodeNames() {
		c, key, err := certutil.GenerateSelfSignedCert(name)
		if err != nil {
			t.Fatal(err)
		}
		self[name], keys[name] = c, key
	}
	var leaf, others []*x509.Certificate
	for _, edge := range vector.TrustGraph.GetAllEdges() {
		tmpl := &x509.Certificate{
			SerialNumber: certutil.RandomSerial(), Subject: self[edge.Destination].Subject,
			NotBefore: certutil.GetNotBefore(), NotAfter: certutil.GetNotAfter(false),
			KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
		}
		end := edge.Destination == vector.DstNode
		if end {
			tmpl.KeyUsage, tmpl.IsCA = x509.KeyUsageDigitalSignature, false
			tmpl.URIs = []*url.URL{{Scheme: "spiffe", Host: "mesh.example", Path: "/ns/shop/sa/cart"}}
			tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}
		if edge.MemberOf(vector.InvalidEdges) {
			if err := spoil(tmpl, reason); err != nil {
				t.Fatal(err)
			}
		}
		c := sign(t, tmpl, self[edge.Source], keys[edge.Destination].Public(), keys[edge.Source])
		if end {
			leaf = append(leaf, c)
		} else {
			others = append(others, c)
		}
	}
	return self[vector.SrcNode], append(leaf, others...)
}

// spoil makes a certificate invalid, for X.509-SVIDs in the way of the suite.
func spoil(c *x509.Certificate, reason pathbuilding.InvalidReason) error {
	switch reason {
	case pathbuilding.INVALID_REASON_EXPIRED:
		c.NotAfter = certutil.GetNotAfter(true)
	case pathbuilding.INVALID_REASON_NAME_CONSTRAINTS:
		c.PermittedDNSDomainsCritical = true
		c.PermittedURIDomains = []string{"bad.example.com"}
	case pathbuilding.INVALID_REASON_BAD_EKU:
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
	case pathbuilding.INVALID_REASON_MISSING_BASIC_CONSTRAINTS:
		c.BasicConstraintsValid = false
	case pathbuilding.INVALID_REASON_NOT_A_CA:
		c.IsCA = false
	case pathbuilding.INVALID_REASON_DEPRECATED_CRYPTO:
		c.SignatureAlgorithm = x509.ECDSAWithSHA1
	default:
		return errors.New("no such reason")
	}
	return nil
}
