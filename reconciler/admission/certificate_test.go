package admission

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"
)

// TestNewPair: the certificate is good for its host, and the root for nothing else.
func TestNewPair(t *testing.T) {
	now := time.Now()
	p, err := newPair("meshc.example.svc", now)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(p.root)
	leaf, err := x509.ParseCertificate(p.serving.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: "meshc.example.svc"}); err != nil {
		t.Error(err)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: "other.example.svc"}); err == nil {
		t.Error("it is good for another host")
	}
}

// TestRoots: roots of other replicas stay, those that have ended go, and their number
// is bounded.
func TestRoots(t *testing.T) {
	now := time.Now()
	var old []byte
	make := func(at time.Time) []byte {
		p, err := newPair("a.svc", at)
		if err != nil {
			t.Fatal(err)
		}
		return p.root
	}
	first, ended := make(now), make(now.Add(-2*life))
	old = append(old, ended...)
	for range maxRoots {
		old = append(old, make(now)...)
	}
	out := roots(first, old, now)
	if !bytes.HasPrefix(out, first) || bytes.Contains(out, ended) {
		t.Error("the first does not come first, or one that has ended is kept")
	}
	count := 0
	for rest := out; ; count++ {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
	}
	if count != maxRoots {
		t.Errorf("%d roots", count)
	}
	// The newest are those of replicas that run, wherever they stand.
	var live []byte
	for i := range 3 * maxRoots {
		live = append(live, make(now.Add(-time.Duration(i%7)*24*time.Hour))...)
	}
	newest := make(now.Add(time.Second))
	if out := roots(first, append(live, newest...), now); !bytes.Contains(out, newest) {
		t.Error("the root of a replica that has just begun is dropped")
	}
	if got := roots(first, []byte("no PEM"), now); !bytes.Equal(got, first) {
		t.Errorf("%s", got)
	}
}

// TestTheOldCertificateServesAMinuteLonger: API servers learn of another root later
// than the configuration has it.
func TestTheOldCertificateServesAMinuteLonger(t *testing.T) {
	now := time.Now()
	old, next := &pair{until: now.Add(time.Hour)}, &pair{until: now.Add(life), trusted: now}
	ended := &pair{until: now}
	for name, c := range map[string]struct {
		old  *pair
		at   time.Duration
		want *pair
	}{
		"the first": {nil, 0, next}, "at once": {old, 0, old}, "soon": {old, learn - time.Second, old}, "later": {old, learn, next},
		"an old one that has ended": {ended, 0, next}, "the same": {next, 0, next},
	} {
		if got := choose(c.old, next, now.Add(c.at)); got != c.want {
			t.Errorf("%s: the wrong one is served", name)
		}
	}
}
