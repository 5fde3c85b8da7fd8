package identity

import (
	"context"
	"encoding/pem"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"

	"github.com/meshc/meshc/ca"
	"github.com/meshc/meshc/ca/attest"
	"github.com/meshc/meshc/ca/catest"
)

// during calls a function while the authority looks at a token.
type during struct {
	*platform
	do func()
}

func (d *during) Review(ctx context.Context, token string) (attest.Grant, error) {
	if d.do != nil {
		d.do()
	}
	return d.platform.Review(ctx, token)
}

// A certificate that was signed while the authority went over to another root is
// renewed soon: the old root is about to go.
func TestRootsThatChangeDuringARenewal(t *testing.T) {
	r := &during{platform: &platform{}}
	srv := catest.Run(t, ca.Config{Methods: []attest.Method{attest.ByTokenReview}, Reviewer: r})
	next := catest.Run(t, ca.Config{})
	dir := t.TempDir()
	file := filepath.Join(dir, "token")
	r.project(t, file, "a.b.c")
	s, err := Open(Config{CAAddress: srv.Addr, CARootFile: srv.RootFile, AccountTokenFile: file, Dir: filepath.Join(dir, "identity"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	der := func(text []byte) []byte {
		b, _ := pem.Decode(text)
		return b.Bytes
	}
	r.do = func() {
		roots := slices.Concat(der(next.BundlePEM()), der(srv.BundlePEM()))
		if err := s.adopt(&workload.X509BundlesResponse{Bundles: map[string][]byte{"spiffe://mesh.example": roots}}); err != nil {
			t.Error(err)
		}
	}
	if err := s.renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	cur := s.Current()
	if cur.underFirstRoot() {
		t.Fatal("the certificate is of the next root already")
	}
	if wait := time.Until(cur.renewAt); wait > spread {
		t.Errorf("renewed in %v only", wait)
	}
}
