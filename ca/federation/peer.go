// Package federation exchanges trust bundles with other trust domains, by the bundle
// endpoint of SPIFFE Federation: Handler tells others of the own one, Follower keeps
// theirs. What another trust domain says vouches for its own identities and for no
// others.
package federation

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/ca/validate"
)

// Peer is another trust domain, and where its bundle is had.
type Peer struct {
	TrustDomain spiffeid.TrustDomain
	URL         string // https
	// Bundle is a file with its bundle as it was handed over, in the SPIFFE bundle format
	// or as PEM roots. With it the server is verified by the SPIFFE ID Endpoint, against
	// the bundle of now (profile https_spiffe); without it by its host name (https_web),
	// against the PEM file WebRoots or, if that is "", the roots of the system.
	Bundle   string
	Endpoint spiffeid.ID
	WebRoots string
}

// ParsePeer reads "domain=NAME,url=https://HOST[:PORT]/PATH,bundle=FILE[,id=SPIFFEID]" or
// "domain=NAME,url=…,web=yes[,roots=FILE]". Without id, the server is a controller of meshc.
func ParsePeer(text string) (Peer, error) {
	given := map[string]string{}
	for _, part := range strings.Split(text, ",") {
		name, value, ok := strings.Cut(part, "=")
		if _, twice := given[name]; !ok || value == "" || twice {
			return Peer{}, fmt.Errorf("%q: want NAME=VALUE, each name once", part)
		}
		given[name] = value
	}
	take := func(name string) string {
		v := given[name]
		delete(given, name)
		return v
	}
	td, err := spiffeid.TrustDomainFromString(given["domain"])
	if err != nil || td.Name() != take("domain") {
		return Peer{}, errors.New("domain= is not the name of a trust domain")
	}
	p := Peer{TrustDomain: td, URL: take("url"), Bundle: take("bundle"), WebRoots: take("roots")}
	if err := checkURL(p.URL); err != nil {
		return Peer{}, fmt.Errorf("url=%s: %w", p.URL, err)
	}
	id, web := take("id"), take("web")
	for name := range given {
		return Peer{}, fmt.Errorf("%s= is not one of domain, url, bundle, id, web, roots", name)
	}
	switch {
	case web != "" && web != "yes":
		return Peer{}, fmt.Errorf("web=%s: want yes", web)
	case (web == "yes") == (p.Bundle != ""):
		return Peer{}, errors.New("want bundle=FILE, to verify the server by its SPIFFE ID, or web=yes, to verify it by its host name")
	case web == "" && p.WebRoots != "", web != "" && id != "":
		return Peer{}, errors.New("id= goes with bundle=, and roots= with web=yes")
	case web == "yes":
		return p, nil
	}
	p.Endpoint = validate.ControllerID(td)
	if id != "" {
		if p.Endpoint, err = spiffeid.FromString(id); err != nil {
			return Peer{}, fmt.Errorf("id=%s: %w", id, err)
		}
	}
	if p.Endpoint.TrustDomain() != td || p.Endpoint.Path() == "" {
		return Peer{}, fmt.Errorf("id=%s is not of a server of %q, whose bundle it is to be verified by", id, td.Name())
	}
	return p, nil
}

// checkURL holds to SPIFFE Federation section 5.2.1.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("it is not a URL")
	case u.Scheme != "https":
		return errors.New("the scheme is not https")
	case u.Hostname() == "":
		return errors.New("there is no host")
	case u.User != nil:
		return errors.New("it has user information")
	case u.Fragment != "":
		return errors.New("it has a fragment")
	}
	return nil
}

// spiffe says whether the server is verified by its SPIFFE ID.
func (p *Peer) spiffe() bool { return !p.Endpoint.IsZero() }

// webRoots gives nil for those of the system.
func (p *Peer) webRoots() (*x509.CertPool, error) {
	if p.WebRoots == "" {
		return nil, nil
	}
	data, err := os.ReadFile(p.WebRoots)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s holds no PEM certificate", p.WebRoots)
	}
	return pool, nil
}
