package federation

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"

	"github.com/meshc/meshc/ca/bundle"
	"github.com/meshc/meshc/ca/validate"
)

const fetchTimeout = 20 * time.Second

// fetch asks a peer's endpoint. known is what the server is verified by if that is by its
// SPIFFE ID.
func fetch(ctx context.Context, p *Peer, known bundle.Content, now func() time.Time) (document []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	config, err := clientTLS(p, known, now)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true, TLSHandshakeTimeout: fetchTimeout, MaxResponseHeaderBytes: 64 << 10}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return errors.New("it leads elsewhere, to a server that nobody has named")
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", p.URL, resp.Status)
	}
	document, err = io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.URL, err)
	}
	return document, nil
}

func clientTLS(p *Peer, known bundle.Content, now func() time.Time) (*tls.Config, error) {
	out := &tls.Config{MinVersion: tls.VersionTLS12, Time: now}
	if !p.spiffe() {
		roots, err := p.webRoots()
		out.RootCAs = roots
		return out, err
	}
	out.InsecureSkipVerify = true // by host name; VerifyConnection verifies by SPIFFE ID
	out.VerifyConnection = func(cs tls.ConnectionState) error {
		return verifyServer(p, cs.PeerCertificates, known.Roots, now())
	}
	return out, nil
}

func verifyServer(p *Peer, chain, roots []*x509.Certificate, now time.Time) error {
	id, err := validate.SVID(chain, x509bundle.FromX509Authorities(p.TrustDomain, roots), now)
	if err != nil {
		return fmt.Errorf("bundle endpoint: %w", err)
	}
	if id != p.Endpoint {
		return fmt.Errorf("bundle endpoint: the server is %q, not %q", id, p.Endpoint)
	}
	return nil
}
