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

	"github.com/meshc/meshc/ca/attest"
	"github.com/meshc/meshc/ca/validate"
)

// ControllerCertificate returns the control plane's own certificate and key,
// made in this process and renewed by the call that finds half of its life
// over. Call it for each handshake.
func (a *Authority) ControllerCertificate() (*tls.Certificate, error) {
	now := a.cfg.Now()
	a.mu.Lock()
	cur := a.controller
	a.mu.Unlock()
	if cur != nil && !halfOver(cur.Leaf, now) {
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
	a.controller = next
	a.mu.Unlock()
	return next, nil
}

func (a *Authority) newControllerCertificate() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("ca: controller's key: %w", err)
	}
	chain, err := a.issue(validate.ControllerID(a.td), key.Public(), 0)
	if err != nil {
		return nil, err
	}
	cert := &tls.Certificate{PrivateKey: key, Leaf: chain[0]}
	for _, c := range chain {
		cert.Certificate = append(cert.Certificate, c.Raw)
	}
	return cert, nil
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
