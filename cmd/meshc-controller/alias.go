package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"slices"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/ca/validate"
	"github.com/meshc/meshc/reconciler/push/xds"
)

// aliasBundles reads roots of other trust domains; "" is no file, and none. Each
// certificate says by its SPIFFE ID whom it vouches for, which is never the trust
// domain of the mesh itself.
func aliasBundles(file, own string) ([]xds.Bundle, error) {
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--alias-roots: %w", err)
	}
	var out []xds.Bundle
	for rest := bytes.TrimSpace(data); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, fmt.Errorf("--alias-roots: %s holds something that is not PEM", file)
		}
		domain, err := aliasOf(block)
		switch {
		case err != nil:
			return nil, fmt.Errorf("--alias-roots: %s: %w", file, err)
		case domain == own:
			return nil, fmt.Errorf("--alias-roots: %s: a root of %q, the trust domain of the mesh itself", file, own)
		}
		i := slices.IndexFunc(out, func(b xds.Bundle) bool { return b.TrustDomain == domain })
		if i < 0 {
			i, out = len(out), append(out, xds.Bundle{TrustDomain: domain})
		}
		out[i].PEM = append(out[i].PEM, pem.EncodeToMemory(block)...)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("--alias-roots: %s holds no certificate", file)
	}
	return out, nil
}

// aliasOf is the trust domain that a root is an authority of.
func aliasOf(block *pem.Block) (string, error) {
	if block.Type != "CERTIFICATE" {
		return "", fmt.Errorf("a PEM block of type %q, want CERTIFICATE only", block.Type)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", err
	}
	if len(c.URIs) != 1 {
		return "", fmt.Errorf("certificate %q has %d URI SANs, want one, the SPIFFE ID of its trust domain", c.Subject, len(c.URIs))
	}
	td, err := spiffeid.TrustDomainFromURI(c.URIs[0])
	if err != nil {
		return "", fmt.Errorf("certificate %q: %w", c.Subject, err)
	}
	if err := validate.Authority(c, td); err != nil {
		return "", fmt.Errorf("certificate %q: %w", c.Subject, err)
	}
	return td.Name(), nil
}
