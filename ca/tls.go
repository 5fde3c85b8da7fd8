package ca

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/meshc/meshc/ca/attest"
	"github.com/meshc/meshc/ca/validate"
)

// ControllerCertificate returns the control plane's own certificate and key,
// made in this process and renewed by the call that finds half of its life
// over. Call it for each handshake.
func (a *Authority) ControllerCertificate() (*tls.Certificate, error) {
	now := a.cfg.Now()
	by, err := a.source.current(now)
	a.mu.Lock()
	cur, signedBy, madeAt := a.controller, a.signedBy, a.madeAt
	a.mu.Unlock()
	if cur != nil && fresh(cur.Leaf, madeAt, now) && (err != nil || by.certificate().Equal(signedBy)) {
		return cur, nil
	}
	next, err := a.newControllerCertificate()
	if err != nil {
		if cur != nil && now.Before(cur.Leaf.NotAfter) {
			a.cfg.Log.Error("the controller's certificate could not be renewed and serves on", "notAfter", cur.Leaf.NotAfter, "error", err)
			return cur, nil
		}
		return nil, err
	}
	a.mu.Lock()
	a.controller, a.signedBy, a.madeAt = next, issuerOf(next), now
	a.mu.Unlock()
	return next, nil
}

// fresh says whether less than half of the life of a certificate is over that was made
// at a time, by a clock that may have been set back since.
func fresh(c *x509.Certificate, madeAt, now time.Time) bool {
	return !now.Before(c.NotBefore) && !now.After(madeAt.Add(c.NotAfter.Sub(madeAt)/2))
}

func (a *Authority) newControllerCertificate() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("ca: controller's key: %w", err)
	}
	chain, err := a.issue(asker{Caller: attest.Caller{ID: validate.ControllerID(a.td), Method: "own"}}, key.Public(), 0)
	if err != nil {
		return nil, err
	}
	cert := &tls.Certificate{PrivateKey: key, Leaf: chain[0]}
	for _, c := range chain {
		cert.Certificate = append(cert.Certificate, c.Raw)
	}
	return cert, nil
}

// issuerOf is the certificate above the leaf; it was validated when it was issued.
func issuerOf(c *tls.Certificate) *x509.Certificate {
	issuer, err := x509.ParseCertificate(c.Certificate[1])
	if err != nil {
		return nil
	}
	return issuer
}

// ServerTLS is for listeners of the control plane: its own certificate, TLS
// 1.2 or later, no resumption. A client certificate is optional (joining
// workloads have none yet) and must be a valid SVID of the trust domain if it
// is given; a listener that needs one sets ClientAuth to
// tls.RequireAnyClientCert.
func (a *Authority) ServerTLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2"},
		ClientAuth: tls.RequestClientCert, // verified by VerifyConnection, against the roots of now
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return a.ControllerCertificate()
		},
		SessionTicketsDisabled: true, // a resumed session would outlive a change of the roots
		Time:                   a.cfg.Now,
		VerifyConnection: func(cs tls.ConnectionState) error {
			if len(cs.PeerCertificates) == 0 {
				return nil
			}
			_, err := a.Verify(cs.PeerCertificates)
			return err
		},
	}
}

// Verify returns the SPIFFE ID of a certificate chain, leaf first, that is
// valid now and of this trust domain.
func (a *Authority) Verify(chain []*x509.Certificate) (string, error) {
	id, err := validate.SVID(chain, a.roots, a.cfg.Now())
	if err != nil {
		return "", err
	}
	return id.String(), nil
}

// Trusts says whether a root that is in the trust bundle now is above a certificate
// chain, leaf first, whether or not the leaf has ended since.
func (a *Authority) Trusts(chain []*x509.Certificate) bool {
	if len(chain) == 0 {
		return false
	}
	leaf := chain[0] // all that is above it was valid for all of its life
	_, err := validate.SVID(chain, a.roots, leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore)/2))
	return err == nil
}

// Peer returns the SPIFFE ID of the caller of a gRPC method, from its verified
// client certificate. It verifies at the time of the call, because connections
// live longer than certificates.
func (a *Authority) Peer(ctx context.Context) (string, error) {
	chain := attest.PeerChain(ctx)
	if len(chain) == 0 {
		return "", errors.New("the peer gave no client certificate")
	}
	return a.Verify(chain)
}
