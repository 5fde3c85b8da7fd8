package main

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/ca"
	"github.com/meshc/meshc/ca/bundle"
	"github.com/meshc/meshc/ca/federation"
	"github.com/meshc/meshc/reconciler/push/xds"
)

// federationFlags say which trust domains exchange their bundles with this one.
type federationFlags struct {
	address string
	with    []string
	peers   []federation.Peer
}

func (f *federationFlags) register(fl *pflag.FlagSet) {
	fl.StringVar(&f.address, "bundle-address", "", "where other trust domains read the trust bundle, by HTTPS with the controller's own certificate (SPIFFE Federation, profile https_spiffe)")
	fl.StringArrayVar(&f.with, "federate", nil, "another trust domain whose bundle is followed: domain=NAME,url=https://HOST:PORT/,bundle=FILE[,id=SPIFFEID] (FILE: its bundle as it was handed over), or domain=NAME,url=…,web=yes[,roots=FILE] for a server with a certificate of the web; may be repeated")
}

func (f *federationFlags) check() error {
	for _, text := range f.with {
		p, err := federation.ParsePeer(text)
		if err != nil {
			return fmt.Errorf("--federate: %w", err)
		}
		f.peers = append(f.peers, p)
	}
	return nil
}

// startFederation follows the bundles of other trust domains, and tells them of the own
// one.
func (p *process) startFederation(ctx context.Context, authority *ca.Authority, aliases []xds.Bundle) error {
	for _, peer := range p.federation.peers {
		if slices.ContainsFunc(aliases, func(b xds.Bundle) bool { return b.TrustDomain == peer.TrustDomain.Name() }) {
			return fmt.Errorf("--federate: the roots of %q are those of --alias-roots", peer.TrustDomain.Name())
		}
	}
	if len(p.federation.peers) > 0 {
		own, err := spiffeid.TrustDomainFromString(p.trustDomain)
		if err != nil {
			return fmt.Errorf("--trust-domain: %w", err)
		}
		p.others, err = federation.Open(own, p.federation.peers, federation.Options{
			Dir: filepath.Join(p.caDir, "federation"), Changed: authority.SetFederated, Log: p.log,
		})
		if err != nil {
			return err
		}
		p.background(func() { p.others.Run(ctx) })
	}
	return p.serveBundle(ctx, authority)
}

// serveBundle is the bundle endpoint.
func (p *process) serveBundle(ctx context.Context, authority *ca.Authority) error {
	if p.federation.address == "" {
		return nil
	}
	l, err := net.Listen("tcp", p.federation.address)
	if err != nil {
		return fmt.Errorf("--bundle-address: %w", err)
	}
	p.log.Info("listening", "for", "trust bundle", "address", l.Addr().String())
	server := &http.Server{
		Handler: federation.Handler(authority.BundleDocument), ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return authority.ControllerCertificate()
		}},
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	p.background(func() {
		if err := server.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
			p.fail(fmt.Errorf("trust bundle: %w", err))
		}
	})
	p.onStop(func() { _ = server.Close() })
	return nil
}

// federated are the bundles of other trust domains for proxies, which hold a root to the
// trust domain that it names: one that names none stays away from them.
func federated(all map[spiffeid.TrustDomain]bundle.Content) (out []xds.Bundle, nameless []string) {
	for td, c := range all {
		one := xds.Bundle{TrustDomain: td.Name()}
		for _, root := range c.Roots {
			if len(root.URIs) == 0 {
				nameless = append(nameless, td.Name())
				one.PEM = nil
				break
			}
			one.PEM = append(one.PEM, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw})...)
		}
		if one.PEM != nil {
			out = append(out, one)
		}
	}
	slices.SortFunc(out, func(a, b xds.Bundle) int { return strings.Compare(a.TrustDomain, b.TrustDomain) })
	slices.Sort(nameless)
	return out, nameless
}

// vouched are the trust domains that a mesh may list as aliases: those whose roots were
// given, and those that are followed.
func (p *process) vouched(aliases []xds.Bundle) []string {
	var out []string
	for _, b := range aliases {
		out = append(out, b.TrustDomain)
	}
	for _, peer := range p.federation.peers {
		out = append(out, peer.TrustDomain.Name())
	}
	return out
}
