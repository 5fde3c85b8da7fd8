package transport

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/meshc/meshc/dataplane/transport/verify"
)

// compileDNS takes a whole DNS name, which a certificate's wildcard may cover.
func compileDNS(m *tlsv3.SubjectAltNameMatcher) (string, error) {
	if err := allow(m, sanFields); err != nil {
		return "", err
	}
	if err := allow(m.GetMatcher(), fields{"exact": true}); err != nil {
		return "", fmt.Errorf("matcher.%w for DNS names", err)
	}
	name := m.GetMatcher().GetExact()
	if name == "" || strings.ContainsAny(name, "*:/ ") {
		return "", fmt.Errorf("matcher.exact %q is not a DNS name", name)
	}
	return name, nil
}

// checkHost verifies the certificate of a server outside the mesh: the chain by
// RFC 5280 and one of the names by RFC 6125, wildcards included.
func (p *peerPolicy) checkHost(certs []*x509.Certificate, usage x509.ExtKeyUsage) error {
	if err := verify.Size(certs); err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	roots := p.bundle()
	if roots == nil {
		return errors.New("peer: no trust bundle to verify it against")
	}
	intermediates := x509.NewCertPool()
	for _, c := range certs[1:] {
		intermediates.AddCert(c)
	}
	_, err := certs[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, CurrentTime: p.now(), KeyUsages: []x509.ExtKeyUsage{usage},
	})
	if err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	for _, host := range p.hosts {
		if certs[0].VerifyHostname(host) == nil {
			return nil
		}
	}
	return fmt.Errorf("peer: its certificate has none of the names %s", strings.Join(p.hosts, ", "))
}
