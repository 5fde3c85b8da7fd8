package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"

	"github.com/meshc/meshc/ca"
)

// adsTLS asks every client for a certificate of the trust domain. The roots
// are read for each handshake, because they rotate.
func adsTLS(authority *ca.Authority) *tls.Config {
	base := authority.ServerTLS()
	base.ClientAuth = tls.RequireAndVerifyClientCert
	forClient := func(*tls.ClientHelloInfo) (*tls.Config, error) {
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(authority.BundlePEM()) {
			return nil, fmt.Errorf("the trust bundle is empty")
		}
		c := base.Clone()
		c.ClientCAs = roots
		return c, nil
	}
	outer := base.Clone()
	outer.GetConfigForClient = forClient
	return outer
}

// writeRoots replaces file in one step. Roots are public: everybody may read
// them.
func writeRoots(file string, pem []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), ".roots-*")
	if err != nil {
		return fmt.Errorf("write the roots: %w", err)
	}
	defer os.Remove(tmp.Name()) // gone already when all went well
	if _, err = tmp.Write(pem); err == nil {
		err = tmp.Chmod(0o644)
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("write the roots: %w", err)
	}
	return nil
}
