package source

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// App is a GitHub App that is installed where the repository is. It stands in
// place of a token.
type App struct {
	ID           string // or the client ID
	Installation string // decimal
	KeyFile      string // PEM private key of RSA, read again for every token
	API          string // default "https://api.github.com"
}

func (a App) given() bool { return a != App{} }

// tokenMargin is how long before its end a token is no longer used, and
// clockSkew by how much the forge's clock may be behind.
const (
	tokenMargin = 5 * time.Minute
	clockSkew   = time.Minute
	proofLife   = 9 * time.Minute // at most ten are taken
)

// appTokens gives tokens of an installation and keeps each for as long as it lasts.
type appTokens struct {
	app    App
	client *http.Client
	now    func() time.Time

	mu    sync.Mutex
	token string
	until time.Time
}

func newAppTokens(a App, base http.RoundTripper) (*appTokens, error) {
	if a.API == "" {
		a.API = "https://api.github.com"
	}
	at, err := url.Parse(a.API)
	if err != nil || at.User != nil || at.Host == "" {
		return nil, errors.New("GitHub App: the address of the API is not a URL")
	}
	if at.Scheme != "https" && !(at.Scheme == "http" && address{host: at.Hostname()}.loopback()) {
		return nil, errors.New("GitHub App: the API must be reached by https")
	}
	if a.ID == "" || a.KeyFile == "" || a.Installation == "" || strings.Trim(a.Installation, "0123456789") != "" {
		return nil, errors.New("GitHub App: its ID, the number of its installation and the file of its key are needed")
	}
	return &appTokens{app: a, now: time.Now, client: &http.Client{
		Transport:     base,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// get gives a token that holds for a while.
func (t *appTokens) get(ctx context.Context) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token != "" && t.now().Before(t.until.Add(-tokenMargin)) {
		return t.token, nil
	}
	token, until, err := t.fetch(ctx)
	if err != nil {
		return "", fmt.Errorf("GitHub App %s: %w", t.app.ID, err)
	}
	t.token, t.until = token, until
	return token, nil
}

// proof signs who the App is. It is dated back: a clock that is behind would take
// it for one of the future.
func (t *appTokens) proof() (string, error) {
	data, err := os.ReadFile(t.app.KeyFile)
	if err != nil {
		return "", err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return "", fmt.Errorf("%s holds no PEM key", t.app.KeyFile)
	}
	var key any
	if key, err = x509.ParsePKCS1PrivateKey(block.Bytes); err != nil {
		if key, err = x509.ParsePKCS8PrivateKey(block.Bytes); err != nil {
			return "", fmt.Errorf("%s holds no private key", t.app.KeyFile)
		}
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", fmt.Errorf("key of %s: %w", t.app.KeyFile, err)
	}
	now := t.now()
	return jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: t.app.ID, IssuedAt: jwt.NewNumericDate(now.Add(-clockSkew)), Expiry: jwt.NewNumericDate(now.Add(proofLife)),
	}).Serialize()
}

func (t *appTokens) fetch(ctx context.Context) (token string, until time.Time, err error) {
	proof, err := t.proof()
	if err != nil {
		return "", until, err
	}
	at := strings.TrimSuffix(t.app.API, "/") + "/app/installations/" + t.app.Installation + "/access_tokens"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, nil)
	if err != nil {
		return "", until, err
	}
	req.Header.Set("Authorization", "Bearer "+proof)
	req.Header.Set("Accept", "application/vnd.github+json")
	resp, err := t.client.Do(req)
	if err != nil {
		return "", until, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		return "", until, fmt.Errorf("the forge answers %s to the request for a token", resp.Status)
	}
	var got struct {
		Token     string    `json:"token"`
		ExpiresAt time.Time `json:"expires_at"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, mebibyte)).Decode(&got); err != nil {
		return "", until, errors.New("the answer of the forge is not JSON") // which may hold the token
	}
	if got.Token == "" || strings.ContainsAny(got.Token, "\r\n\x00") || !got.ExpiresAt.After(t.now()) {
		return "", until, errors.New("the answer of the forge holds no token that is valid")
	}
	return got.Token, got.ExpiresAt, nil
}
