package check

import (
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

func (c *overIntent) externalTLS() {
	for _, e := range c.in.externals {
		if e.TLS != nil {
			c.tlsTo(e, e.TLS)
		}
		for _, p := range e.Ports {
			if p.Number.V == 443 && e.TLS == nil && p.Protocol.V != string(model.TLS) {
				d := c.report(diag.PlaintextTo443, p.At, "external %q: port 443 is asked in plaintext", e.Name.V)
				d.Help = "write `tls: {}` to speak TLS"
			}
		}
	}
}

func (c *overIntent) tlsTo(e *intent.External, t *intent.ExternalTLS) {
	if t.Ports != nil && len(t.Ports) == 0 {
		c.report(diag.TLSDoesNothing, t.At, "external %q: `ports` is empty, so TLS is spoken nowhere", e.Name.V).Help = "leave it out for every port"
	}
	for _, p := range t.Ports {
		if scope.Port(e.Ports, p.V) == nil {
			var known []string
			for _, o := range e.Ports {
				known = append(known, o.Name.V)
			}
			meantText(c.report(diag.UnknownPort, p.At, "external %q has no port %q", e.Name.V, p.V), p, known, t.Ports)
		}
	}
	c.tlsTwice(e, t)
	if t.SANs != nil && len(t.SANs) == 0 {
		c.report(diag.TLSDoesNothing, t.At, "external %q: `sans` is empty, so no certificate would do", e.Name.V).Help = "leave it out for the SNI"
	}
	if t.SNI != nil && !isDNSName(t.SNI.V) {
		c.report(diag.BadHost, t.SNI.At, "external %q: %q is not a DNS name", e.Name.V, t.SNI.V)
	}
	for _, name := range t.SANs {
		if !isDNSName(name.V) {
			c.report(diag.BadHost, name.At, "external %q: %q is not a DNS name", e.Name.V, name.V)
		}
	}
	c.secretName(t.CA)
	c.clientCertificate(e, t)
	c.insecure(e, t)
}

// clientCertificate: what is shown is named, and shown.
func (c *overIntent) clientCertificate(e *intent.External, t *intent.ExternalTLS) {
	c.secretName(t.Certificate)
	mutual := t.Mode != nil && t.Mode.V == string(model.TLSMutual)
	if mutual && t.Certificate == nil {
		c.report(diag.ClientCertificateMissing, t.Mode.At, "external %q: mode is mutual, and no certificate is named", e.Name.V).Help = "write `certificate: secret: \"...\"`"
	}
	if !mutual && t.Certificate != nil {
		c.report(diag.TLSWithoutEffect, t.Certificate.At, "external %q: nobody is shown `certificate`", e.Name.V).Help = "write `mode: \"mutual\"`, or leave `certificate` out"
	}
}

// tlsTwice reports TLS to a port that carries TLS of the application's own.
func (c *overIntent) tlsTwice(e *intent.External, t *intent.ExternalTLS) {
	speaks := func(p *intent.Port) bool { return p != nil && p.Protocol.V == string(model.TLS) }
	for _, name := range t.Ports {
		if speaks(scope.Port(e.Ports, name.V)) {
			d := c.report(diag.TLSTwice, name.At, "external %q: port %q is tls, so applications speak TLS themselves", e.Name.V, name.V)
			d.Help = "leave the port out, or write protocol \"http\" or \"tcp\" for what is inside"
		}
	}
	if t.Ports == nil && len(e.Ports) > 0 && !slices.ContainsFunc(e.Ports, func(p *intent.Port) bool { return !speaks(p) }) {
		c.report(diag.TLSTwice, t.At, "external %q: every port is tls, so applications speak TLS themselves", e.Name.V).Help = "leave `tls` out"
	}
}

func (c *overIntent) insecure(e *intent.External, t *intent.ExternalTLS) {
	i := t.Insecure
	if i == nil {
		return
	}
	if _, err := literal.Time(i.Until.V); err != nil {
		c.report(diag.BadTime, i.Until.At, "external %q: %s", e.Name.V, err)
	}
	if strings.TrimSpace(i.Reason.V) == "" {
		c.report(diag.InsecureTLS, i.Reason.At, "external %q: its certificate is not verified, and nobody says why", e.Name.V).Help = "write the reason"
		return
	}
	c.report(diag.UnverifiedTLS, i.At, "external %q: its certificate is not verified until %s (%s)", e.Name.V, i.Until.V, literal.Clip(i.Reason.V))
}

// expiredInsecure finds certificates that are verified again, although the mesh
// says otherwise.
func (c *overModel) expiredInsecure() {
	for _, e := range c.mesh.Externals {
		if e.TLS == nil || e.TLS.Insecure == nil || c.now.Before(e.TLS.Insecure.Until) {
			continue
		}
		d := c.report(diag.InsecureTLS, e.TLS.Insecure.Origin, "external %q: `insecure` ended at %s; its certificate is verified since", e.Name, e.TLS.Insecure.Until.Format(time.RFC3339))
		d.Help = "take it away, or set a later `until`"
	}
}
