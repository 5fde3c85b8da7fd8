package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// httpDialer speaks the smart HTTP protocol. go-git's transport drops the
// token when a redirect leaves the origin.
type httpDialer struct {
	addr   address
	opts   Options
	app    *appTokens // nil: none
	client transport.Transport
}

func newHTTPDialer(a address, opts Options) (dialer, error) {
	if opts.SSHKeyFile != "" {
		return nil, fmt.Errorf("repository %s: an SSH key is of no use over %s", a, a.scheme)
	}
	if opts.TokenFile != "" && a.scheme == schemeHTTP && !a.loopback() {
		return nil, fmt.Errorf("repository %s: a token is not sent in plaintext", a)
	}
	if opts.Credentials() {
		if err := checkCredentialsFor(a, opts.CredentialsFor); err != nil {
			return nil, err
		}
	}
	base := http.DefaultTransport.(*http.Transport).Clone()
	if opts.CAFile != "" {
		roots, err := loadRoots(opts.CAFile)
		if err != nil {
			return nil, err
		}
		base.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	// A poll is rare: a connection kept between polls would only be found dead.
	base.DisableKeepAlives = true
	var app *appTokens
	if opts.App.given() {
		var err error
		if opts.TokenFile != "" || a.scheme == schemeHTTP && !a.loopback() {
			return nil, fmt.Errorf("repository %s: a GitHub App stands in place of a token, and over https", a)
		}
		if app, err = newAppTokens(opts.App, base); err != nil {
			return nil, err
		}
	}
	client := githttp.NewClientWithOptions(
		&http.Client{Transport: &boundedTransport{base: base, limits: opts.Limits}},
		&githttp.ClientOptions{RedirectPolicy: githttp.FollowInitialRedirects},
	)
	return &httpDialer{addr: a, opts: opts, app: app, client: client}, nil
}

func loadRoots(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("roots for the repository: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("roots for the repository: %s holds no PEM certificate", file)
	}
	return roots, nil
}

func (d *httpDialer) dial(ctx context.Context) (session, error) {
	var auth transport.AuthMethod
	if d.opts.TokenFile != "" || d.app != nil {
		token, err := d.token(ctx)
		if err != nil {
			return nil, err
		}
		user := d.opts.Username
		if user == "" {
			user = "x-access-token"
		}
		auth = &githttp.BasicAuth{Username: user, Password: token}
	}
	endpoint, err := transport.NewEndpoint(d.addr.String())
	if err != nil {
		return nil, fmt.Errorf("repository address: %w", err)
	}
	inner, err := d.client.NewUploadPackSession(endpoint, auth)
	if err != nil {
		return nil, err
	}
	return httpSession{inner}, nil
}

func (d *httpDialer) token(ctx context.Context) (string, error) {
	if d.app != nil {
		return d.app.get(ctx)
	}
	return readToken(d.opts.TokenFile)
}

func readToken(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("token of the repository: %w", err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" || strings.ContainsAny(token, "\r\n\x00") {
		return "", fmt.Errorf("token of the repository: %s does not hold one line", file)
	}
	return token, nil
}

type httpSession struct{ transport.UploadPackSession }

func (s httpSession) references(ctx context.Context) (*packp.AdvRefs, error) {
	return s.AdvertisedReferencesContext(ctx)
}

func (s httpSession) uploadPack(ctx context.Context, req *packp.UploadPackRequest) (*packp.UploadPackResponse, error) {
	return s.UploadPack(ctx, req)
}

// boundedTransport caps what a server may send.
type boundedTransport struct {
	base   http.RoundTripper
	limits Limits
}

func (t *boundedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	limit := t.limits.ListBytes
	if req.Method == http.MethodPost {
		limit = framed(t.limits.PackBytes)
	}
	resp.Body = &boundedBody{bounded{r: resp.Body, left: limit}, resp.Body}
	return resp, nil
}

// framed adds what the side-band framing of a pack may cost.
func framed(pack int64) int64 { return pack + pack/64 + mebibyte }

type boundedBody struct {
	bounded
	io.Closer
}

// bounded is an io.LimitReader that ends in an error instead of io.EOF, so
// that "too long" never looks like "truncated".
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("%w: the answer of the Git server is too long", ErrLimit)
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	return n, err
}
