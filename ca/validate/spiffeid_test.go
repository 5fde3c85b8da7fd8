package validate

import (
	"strings"
	"testing"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

var td = spiffeid.RequireTrustDomainFromString("mesh.example")

func TestWorkloadID(t *testing.T) {
	cases := map[string]struct {
		in string
		ok bool
	}{
		"the mesh's form":                    {"spiffe://mesh.example/ns/shop/sa/cart", true},
		"every allowed byte":                 {"spiffe://mesh.example/ns/a-Z_0.9/sa/x", true},
		"another trust domain":               {"spiffe://other.example/ns/shop/sa/cart", false},
		"a trust domain that it prefixes":    {"spiffe://mesh.example.evil/ns/shop/sa/cart", false},
		"the trust domain itself":            {"spiffe://mesh.example", false},
		"one segment too few":                {"spiffe://mesh.example/ns/shop/sa", false},
		"one segment too many":               {"spiffe://mesh.example/ns/shop/sa/cart/x", false},
		"other segment names":                {"spiffe://mesh.example/sa/cart/ns/shop", false},
		"an empty segment":                   {"spiffe://mesh.example/ns//sa/cart", false},
		"a trailing slash":                   {"spiffe://mesh.example/ns/shop/sa/cart/", false},
		"dot segments":                       {"spiffe://mesh.example/ns/../sa/cart", false},
		"percent encoding":                   {"spiffe://mesh.example/ns/%2e%2e/sa/cart", false},
		"an upper-case trust domain":         {"spiffe://Mesh.example/ns/shop/sa/cart", false},
		"an upper-case scheme":               {"SPIFFE://mesh.example/ns/shop/sa/cart", false},
		"a port":                             {"spiffe://mesh.example:80/ns/shop/sa/cart", false},
		"user info":                          {"spiffe://u@mesh.example/ns/shop/sa/cart", false},
		"a query":                            {"spiffe://mesh.example/ns/shop/sa/cart?x", false},
		"a fragment":                         {"spiffe://mesh.example/ns/shop/sa/cart#", false},
		"a NUL":                              {"spiffe://mesh.example/ns/shop/sa/cart\x00", false},
		"a line break":                       {"spiffe://mesh.example/ns/shop/sa/cart\n", false},
		"another scheme":                     {"https://mesh.example/ns/shop/sa/cart", false},
		"nothing":                            {"", false},
		"2048 bytes":                         {longID(2048), true},
		"2049 bytes":                         {longID(2049), false},
		"a trust domain above its own limit": {"spiffe://" + strings.Repeat("a", 256) + "/ns/shop/sa/cart", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			id, err := WorkloadID(c.in, td)
			if (err == nil) != c.ok {
				t.Fatalf("WorkloadID(%q) = %v, %v", c.in, id, err)
			}
			if c.ok && id.String() != c.in {
				t.Fatalf("WorkloadID(%q) = %q", c.in, id)
			}
		})
	}
}

func longID(n int) string {
	prefix := "spiffe://mesh.example/ns/shop/sa/"
	return prefix + strings.Repeat("x", n-len(prefix))
}

// FuzzSPIFFEID compares with go-spiffe: what we accept it accepts and reads
// the same way, and what it accepts within the specification's length limits
// we accept.
func FuzzSPIFFEID(f *testing.F) {
	for _, s := range []string{
		"spiffe://mesh.example/ns/shop/sa/cart", "spiffe://mesh.example", "spiffe://a/b", "spiffe://", "spiffe:///a",
		"spiffe://mesh.example/ns/../sa/x", "spiffe://mesh.example/%2e", "SPIFFE://a/b", "spiffe://a:1/b", "spiffe://a/b\x00",
		"spiffe://" + strings.Repeat("a", 256) + "/b", longID(2049),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ours, err := SPIFFEID(s)
		theirs, theirErr := spiffeid.FromString(s)
		short := len(s) <= MaxIDBytes && len(theirs.TrustDomain().Name()) <= MaxTrustDomainBytes
		if (err == nil) != (theirErr == nil && short) {
			t.Fatalf("%q: ours %v, go-spiffe's %v", s, err, theirErr)
		}
		if err == nil && (ours != theirs || ours.String() != s) {
			t.Fatalf("%q was read as %q and %q", s, ours, theirs)
		}
		id, err := WorkloadID(s, td)
		if err != nil {
			return
		}
		rest, ok := strings.CutPrefix(s, "spiffe://mesh.example/ns/")
		ns, sa, ok2 := strings.Cut(rest, "/sa/")
		if !ok || !ok2 || ns == "" || sa == "" || strings.Contains(ns+sa, "/") || id.String() != s {
			t.Fatalf("%q passed for a workload's identity", s)
		}
	})
}
