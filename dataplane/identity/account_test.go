package identity

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/ca"
	"github.com/meshc/meshc/ca/attest"
	"github.com/meshc/meshc/ca/catest"
)

// platform vouches for one token at a time.
type platform struct {
	mu    sync.Mutex
	token string
	asked int
}

func (p *platform) Review(_ context.Context, token string) (attest.Grant, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	if token != p.token {
		return attest.Grant{}, errors.New("no such token")
	}
	return attest.Grant{ID: spiffeid.RequireFromString("spiffe://mesh.example/ns/shop/sa/cart"), Workload: "shop/cart-1"}, nil
}

func (p *platform) project(t *testing.T, file, token string) {
	t.Helper()
	p.mu.Lock()
	p.token = token
	p.mu.Unlock()
	next := file + "-" + strings.ReplaceAll(token, ".", "")
	if err := os.WriteFile(next, []byte(token), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(next, next+".link"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next+".link", file); err != nil {
		t.Fatal(err)
	}
}

// A token of the platform is read for each certificate, the way it is mounted, and
// is what proves who asks, also where an identity is there to be renewed.
func TestATokenOfThePlatformIsReadAsItRotates(t *testing.T) {
	p := &platform{}
	srv := catest.Run(t, ca.Config{Methods: []attest.Method{attest.ByTokenReview}, Reviewer: p})
	dir := t.TempDir()
	file := filepath.Join(dir, "token")
	cfg := Config{CAAddress: srv.Addr, CARootFile: srv.RootFile, AccountTokenFile: file, Dir: filepath.Join(dir, "identity"), Now: time.Now}
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.renew(t.Context()); err == nil {
		t.Fatal("an identity without a token")
	}
	for _, token := range []string{"a.b.1", "a.b.2"} {
		p.project(t, file, token)
		before := s.Current()
		if err := s.renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s.Current() == before || s.Current().SPIFFEID != "spiffe://mesh.example/ns/shop/sa/cart" {
			t.Errorf("identity %v", s.Current())
		}
	}
	p.mu.Lock()
	p.token = "a.b.3" // the one in the file is not good any more
	p.mu.Unlock()
	if err := s.renew(t.Context()); err == nil {
		t.Error("renewed by an identity whose token is not good any more")
	}
	if p.asked != 3 {
		t.Errorf("asked %d times", p.asked)
	}
	if again, err := Open(cfg); err != nil || again.Current() == nil {
		t.Errorf("the kept identity: %v", err)
	}
	cfg.TokenFile = file
	if _, err := Open(cfg); err == nil {
		t.Error("a join token beside it")
	}
}
