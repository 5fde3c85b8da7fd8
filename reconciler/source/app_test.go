package source

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// fakeForge hands out tokens as GitHub does, and serves a repository to who has
// the newest one.
type fakeForge struct {
	public  *rsa.PublicKey
	life    time.Duration
	granted atomic.Int32
	refuse  atomic.Bool
	broken  atomic.Pointer[string] // the answer in place of a token
}

func (f *fakeForge) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	proof, err := jwt.ParseSigned(strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer "), []jose.SignatureAlgorithm{jose.RS256})
	var claims jwt.Claims
	if err == nil {
		err = proof.Claims(f.public, &claims)
	}
	age, left := time.Since(claims.IssuedAt.Time()), time.Until(claims.Expiry.Time())
	if err != nil || claims.Issuer != "12" || age < 55*time.Second || age > 70*time.Second || left > 10*time.Minute || f.refuse.Load() ||
		req.Method != http.MethodPost || req.URL.Path != "/app/installations/34/access_tokens" {
		http.Error(w, "bad credentials", http.StatusUnauthorized)
		return
	}
	w.WriteHeader(http.StatusCreated)
	if text := f.broken.Load(); text != nil {
		fmt.Fprint(w, *text)
		return
	}
	fmt.Fprintf(w, `{"token": "%s-%d", "expires_at": %q}`, canary, f.granted.Add(1), time.Now().Add(f.life).UTC().Format(time.RFC3339))
}

func TestAGitHubAppReads(t *testing.T) {
	r := newTestRepo(t)
	r.commit("mesh/a.cue", "one")
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	keyFile := filepath.Join(t.TempDir(), "key")
	must(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), 0o600))
	forge := &fakeForge{public: &key.PublicKey, life: time.Hour}
	api := httptest.NewServer(forge)
	defer api.Close()
	address := plainHTTP(t, r, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if user, token, _ := req.BasicAuth(); user != "x-access-token" || token != fmt.Sprintf("%s-%d", canary, forge.granted.Load()) {
				http.Error(w, "no", http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, req)
		})
	})
	app := App{ID: "12", Installation: "34", KeyFile: keyFile, API: api.URL}
	repo := open(t, address, Options{App: app})
	for range 3 {
		checkTree(t, repo, head(t, repo, "main"), "one")
	}
	if n := forge.granted.Load(); n != 1 {
		t.Errorf("%d tokens were asked for", n)
	}
	// Five minutes before its end a token is replaced.
	tokens := repo.backend.(*remoteRepository).dialer.(*httpDialer).app
	tokens.until = time.Now().Add(tokenMargin + time.Minute)
	head(t, repo, "main")
	if n := forge.granted.Load(); n != 1 {
		t.Error("a token was replaced early")
	}
	tokens.until = time.Now().Add(tokenMargin - time.Second)
	head(t, repo, "main")
	if n := forge.granted.Load(); n != 2 {
		t.Error("a token was not replaced in time")
	}

	failing := func(name string, a App) {
		t.Helper()
		again := open(t, address, Options{App: a})
		if _, err := again.Head(t.Context(), "main"); err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{"", "{", `{"token": ""}`, `{"token": "` + canary + `"}`, `{"token": "` + canary + `", "expires_at": "soon"}`, `{"token": "` + canary + `\n", "expires_at": "2999-01-01T00:00:00Z"}`} {
		forge.broken.Store(&text)
		failing("answer "+text, app)
	}
	forge.broken.Store(nil)
	forge.refuse.Store(true)
	failing("refused", app)
	failing("absent key", App{ID: "12", Installation: "34", KeyFile: keyFile + "-absent", API: api.URL})
}

func TestAppsThatMakeNoSense(t *testing.T) {
	whole := App{ID: "1", Installation: "2", KeyFile: "k"}
	for name, c := range map[string]struct {
		address string
		opts    Options
	}{
		"no key":                    {"https://git.example/x", Options{App: App{ID: "1", Installation: "2"}}},
		"an installation by name":   {"https://git.example/x", Options{App: App{ID: "1", Installation: "me/../x", KeyFile: "k"}}},
		"an API in plaintext":       {"https://git.example/x", Options{App: App{ID: "1", Installation: "2", KeyFile: "k", API: "http://api.example"}}},
		"a token beside it":         {"https://git.example/x", Options{App: whole, TokenFile: "t"}},
		"over ssh":                  {"ssh://git@git.example/x", Options{App: whole, SSHKeyFile: "k", KnownHostsFile: "h"}},
		"over git":                  {"git://127.0.0.1/x", Options{App: whole}},
		"a repository in plaintext": {"http://git.example/x", Options{App: whole, AllowInsecure: true}},
	} {
		if _, err := Open(c.address, c.opts); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
