package check

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/snapshot"
)

// expiryHorizon is how long before its end a certificate is reported: what
// renews itself is renewed by then (cert-manager: a third of 90 days).
const expiryHorizon = 30 * 24 * time.Hour

// gateways looks for the workloads, ports and certificates of each gateway.
func (c *overClusters) gateways() {
	for _, g := range c.mesh.Gateways {
		found := false
		for _, x := range c.clusters {
			have := x.services[g.Ref]
			pods := x.selected(have)
			if len(pods) == 0 {
				continue
			}
			found = true
			for _, l := range g.Listeners {
				c.listener(g, l, x, have, pods)
			}
		}
		if !found {
			c.report(diag.GatewayNoPods, g.Origin, "no cluster has a service %q with pods, so nothing runs the gateway", g.Ref)
		}
	}
}

func (c *overClusters) listener(g *model.Gateway, l model.GatewayListener, x *indexed, have *snapshot.Service, pods []*snapshot.Pod) {
	if !slices.ContainsFunc(have.Ports, func(p snapshot.ServicePort) bool { return targetOf(&p, pods) == int(l.Port) }) {
		c.report(diag.GatewayPortHidden, l.Origin, "no port of service %q in cluster %q leads to port %d of the gateway", g.Ref, x.Name, l.Port)
	}
	if l.TLS == nil {
		return
	}
	what := fmt.Sprintf("gateway %q", g.Ref)
	for _, cert := range l.TLS.Certificates {
		c.secret(what, g.Namespace, &cert.Secret, x, keyPair)
	}
	c.secret(what, g.Namespace, l.TLS.CA, x, authorities)
}

func keyPair(s *snapshot.Secret) error {
	if s.Certificate == "" {
		return errors.New("it has no tls.crt")
	}
	if !s.HasKey {
		return errors.New("it has no tls.key")
	}
	return nil
}

func authorities(s *snapshot.Secret) error {
	if s.CA == "" {
		return errors.New("it has no ca.crt")
	}
	return nil
}

// externalSecrets looks for what is shown to externals, and for who vouches for
// them, in the namespaces of those whose proxies speak TLS to them.
func (c *overClusters) externalSecrets() {
	for _, e := range c.mesh.Externals {
		if e.TLS == nil {
			continue
		}
		for _, x := range c.clusters {
			for _, from := range c.speakers(e, x) {
				what := fmt.Sprintf("calls of external %q", e.Ref)
				c.secret(what, from, e.TLS.CA, x, authorities)
				c.secret(what, from, e.TLS.Certificate, x, keyPair)
			}
		}
	}
}

// speakers gives the namespaces, each once, of pods whose proxies speak TLS to
// an external: those of its egress gateway, or of the services that use it.
func (c *overClusters) speakers(e *model.External, x *indexed) []string {
	var out []string
	add := func(r model.Ref) {
		if len(x.selected(x.services[r])) > 0 && !slices.Contains(out, r.Namespace) {
			out = append(out, r.Namespace)
		}
	}
	if e.Via != nil {
		add(e.Via.Gateway)
		return out
	}
	users := c.mesh.Users(e.Ref)
	for _, s := range c.mesh.Services {
		if slices.Contains(users, s.SPIFFEID) {
			add(s.Ref)
		}
	}
	for _, g := range c.mesh.Gateways {
		if slices.Contains(users, g.SPIFFEID) {
			add(g.Ref)
		}
	}
	return out
}

// secret looks for what the mesh names for one purpose; files are not known to a
// cluster.
func (c *overClusters) secret(purpose, namespace string, named *model.Secret, x *indexed, fit func(*snapshot.Secret) error) {
	if named == nil || named.Kind != model.NamedSecret {
		return
	}
	have := x.secrets[model.Ref{Namespace: namespace, Name: named.Name}]
	if have == nil {
		c.report(diag.SecretMissing, named.Origin, "namespace %q of cluster %q has no secret %q", namespace, x.Name, named.Name)
		return
	}
	if err := fit(have); err != nil {
		d := c.report(diag.SecretMalformed, have.At, "secret %q of cluster %q does not serve %s: %s", have.Namespace+"/"+have.Name, x.Name, purpose, err)
		d.Related = []diag.Related{{Range: named.Origin, Message: "where it is named"}}
	}
}

// certificates judges every certificate of the snapshot.
func (c *overClusters) certificates() {
	for _, x := range c.clusters {
		for i := range x.Secrets {
			s := &x.Secrets[i]
			c.certificate(s, x, "tls.crt", s.Certificate)
			c.certificate(s, x, "ca.crt", s.CA)
		}
	}
}

func (c *overClusters) certificate(s *snapshot.Secret, x *indexed, part, text string) {
	if text == "" {
		return
	}
	what := fmt.Sprintf("%s of secret %q in cluster %q", part, s.Namespace+"/"+s.Name, x.Name)
	chain, err := parseChain(text)
	if err != nil {
		c.report(diag.SecretMalformed, s.At, "%s: %s", what, err)
		return
	}
	for _, cert := range chain {
		switch {
		case c.now.After(cert.NotAfter):
			c.report(diag.CertificateExpired, s.At, "%s, for %q, was valid until %s", what, subject(cert), cert.NotAfter.Format(time.RFC3339))
		case c.now.Before(cert.NotBefore):
			c.report(diag.CertificateExpired, s.At, "%s, for %q, is valid from %s only", what, subject(cert), cert.NotBefore.Format(time.RFC3339))
		case c.now.Add(expiryHorizon).After(cert.NotAfter):
			c.report(diag.CertificateExpiring, s.At, "%s, for %q, is valid until %s, %d days from now", what, subject(cert), cert.NotAfter.Format(time.RFC3339), int(cert.NotAfter.Sub(c.now).Hours()/24))
		}
	}
}

func subject(cert *x509.Certificate) string {
	if len(cert.DNSNames) > 0 {
		return strings.Join(cert.DNSNames, ", ")
	}
	return cert.Subject.String()
}

// parseChain reads PEM of certificates, at least one, and nothing else.
func parseChain(text string) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	rest := []byte(text)
	for len(strings.TrimSpace(string(rest))) > 0 {
		block, after := pem.Decode(rest)
		if block == nil {
			return nil, errors.New("it is not PEM")
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("it holds a block %q, where certificates belong", block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("a certificate of it does not parse: %w", err)
		}
		chain, rest = append(chain, cert), after
	}
	if len(chain) == 0 {
		return nil, errors.New("it holds no certificate")
	}
	return chain, nil
}
