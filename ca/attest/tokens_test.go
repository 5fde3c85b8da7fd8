package attest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

var td = spiffeid.RequireTrustDomainFromString("mesh.example")

const cart = "spiffe://mesh.example/ns/shop/sa/cart"

func tokens(t *testing.T, dir string, now func() time.Time) *Tokens {
	t.Helper()
	tok, err := OpenTokens(dir, td, now)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func create(t *testing.T, tok *Tokens, ttl time.Duration, opts ...TokenOption) string {
	t.Helper()
	s, err := tok.CreateJoinToken(cart, ttl, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTokenIsUsedOnceAcrossProcesses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tokens")
	maker := tokens(t, dir, nil)
	for range 20 {
		s := create(t, maker, time.Minute)
		var won atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, err := tokens(t, dir, nil).Use(s); err == nil {
					won.Add(1)
				} else if !errors.Is(err, ErrToken) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("used %d times", won.Load())
		}
	}
}

func TestLookLeavesTheTokenUsable(t *testing.T) {
	tok := tokens(t, filepath.Join(t.TempDir(), "tokens"), nil)
	s := create(t, tok, time.Minute, ForWorkload("shop/cart-0"))
	for range 2 {
		g, err := tok.Look(s)
		if err != nil || g.ID.String() != cart || g.Workload != "shop/cart-0" {
			t.Fatalf("%+v, %v", g, err)
		}
	}
	if _, err := tok.Use(s); err != nil {
		t.Fatal(err)
	}
	if _, err := tok.Look(s); !errors.Is(err, ErrToken) {
		t.Fatal(err)
	}
}

func TestTokenExpiresAndIsSweptAway(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tokens")
	at := time.Now()
	tok := tokens(t, dir, func() time.Time { return at })
	s := create(t, tok, time.Minute)
	at = at.Add(time.Minute)
	if _, err := tok.Use(s); !errors.Is(err, ErrToken) {
		t.Fatal(err)
	}
	create(t, tok, time.Minute)
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%d files, %v", len(entries), err)
	}
}

func TestTheTokenItselfIsNowhereOnDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tokens")
	s := create(t, tokens(t, dir, nil), time.Minute)
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	data, err := os.ReadFile(filepath.Join(dir, entries[0].Name()))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data)+entries[0].Name(), s) || len(entries[0].Name()) != 64 {
		t.Error("the token can be read from the directory")
	}
}

func TestCreateRefuses(t *testing.T) {
	tok := tokens(t, filepath.Join(t.TempDir(), "tokens"), nil)
	for name, c := range map[string]struct {
		id  string
		ttl time.Duration
	}{
		"another trust domain": {"spiffe://other.example/ns/shop/sa/cart", time.Minute},
		"another form":         {"spiffe://mesh.example/cart", time.Minute},
		"the controller":       {"spiffe://mesh.example/ns/meshc-system/sa/meshc-controller", time.Minute},
		"no time":              {cart, 0},
		"too much time":        {cart, MaxTokenTTL + 1},
	} {
		if _, err := tok.CreateJoinToken(c.id, c.ttl); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestATamperedRecordIsNoIdentity(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tokens")
	tok := tokens(t, dir, nil)
	for _, content := range []string{"", "{", `{"spiffeID":"spiffe://other/ns/a/sa/b","expires":"2999-01-01T00:00:00Z"}`, `{"spiffeID":"` + cart + `"}`} {
		s := create(t, tok, time.Minute)
		raw, err := decode(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(tok.path(raw), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if g, err := tok.Use(s); err == nil {
			t.Errorf("%q gave %+v", content, g)
		}
	}
}
