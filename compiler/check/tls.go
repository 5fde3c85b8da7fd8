package check

import (
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// listenerTLS checks what each listener says of TLS.
func (c *overIntent) listenerTLS() {
	for _, g := range c.in.gateways {
		for _, l := range g.Listeners {
			switch {
			case l.Protocol.V == "https" && (l.TLS == nil || len(l.TLS.Certificates) == 0):
				c.report(diag.CertificateMissing, l.Protocol.At, "listener %q is https and has no certificate", l.Name.V).Help = "write `tls: certificates: [{secret: \"...\"}]`"
			case l.Protocol.V != "https" && l.TLS != nil:
				c.report(diag.TLSWithoutEffect, l.TLS.At, "listener %q is %s: nothing acts on its `tls`", l.Name.V, l.Protocol.V).Help = "write protocol \"https\", or leave `tls` out"
			case l.TLS != nil:
				c.tlsFields(l)
				c.certificates(l)
			}
			c.redirectsToHTTPS(g, l)
		}
		c.routesRedirected(g)
	}
}

func (c *overIntent) tlsFields(l *intent.GatewayListener) {
	t := l.TLS
	c.secretName(t.CA)
	asks := scope.Or(t.Mode, string(model.TLSTerminate)) != string(model.TLSTerminate)
	if asks && t.CA == nil {
		c.report(diag.ClientCAMissing, t.Mode.At, "listener %q asks clients for a certificate and names nobody who vouches for it", l.Name.V).Help = "write `ca: secret: \"...\"`"
	}
	if !asks && t.CA != nil {
		c.report(diag.TLSWithoutEffect, t.CA.At, "listener %q does not ask clients for a certificate: nothing acts on `ca`", l.Name.V).Help = "write `mode: \"mutual\"`, or leave `ca` out"
	}
	if t.MinVersion != nil && t.MaxVersion != nil && t.MinVersion.V > t.MaxVersion.V {
		c.report(diag.TLSVersionOrder, t.MinVersion.At, "listener %q: minVersion %s is above maxVersion %s", l.Name.V, t.MinVersion.V, t.MaxVersion.V)
	}
}

// secretName checks that a secret has one name.
func (c *overIntent) secretName(s *intent.Secret) {
	if s != nil && (s.Secret == nil) == (s.File == nil) {
		relateArms(c.report(diag.NotExactlyOne, s.At, "exactly one of `secret` and `file` names what is meant"), where(s.Secret), where(s.File))
	}
}

// certificates checks that the server name chooses one certificate, for every
// host of the listener.
func (c *overIntent) certificates(l *intent.GatewayListener) {
	first := map[string]diag.Range{} // by host pattern; "" is every other name
	fine := true
	for _, cert := range l.TLS.Certificates {
		c.secretName(&cert.Secret)
		fine = c.serverNames(cert.Hosts) && fine
		for _, h := range cert.Hosts {
			fine = c.onlyCertificate(first, strings.ToLower(h.V), h.At) && c.certificateHost(l, h) && fine
		}
		if len(cert.Hosts) == 0 {
			fine = c.onlyCertificate(first, "", cert.At) && fine
		}
	}
	if _, rest := first[""]; !rest && fine {
		c.certified(l)
	}
}

// serverNames are host patterns without "*" alone, which no client asks for.
func (c *overIntent) serverNames(hosts []intent.Value[string]) bool {
	for _, h := range hosts {
		if h.V == "*" {
			c.report(diag.BadHost, h.At, "\"*\" is not a server name").Help = "leave `hosts` out: the certificate is then for every other name"
			return false
		}
	}
	return c.hostPatterns(hosts)
}

func (c *overIntent) onlyCertificate(first map[string]diag.Range, host string, at diag.Range) bool {
	before, again := first[host]
	if !again {
		first[host] = at
		return true
	}
	d := c.report(diag.CertificateOverlap, at, "another certificate of the listener is for %q already", host)
	if host == "" {
		d.Message = "another certificate of the listener is for all names as well"
		d.Help = "write `hosts`"
	}
	d.Related = []diag.Related{{Range: before, Message: "the other one"}}
	return false
}

// certificateHost: the listener takes the host of a certificate.
func (c *overIntent) certificateHost(l *intent.GatewayListener, h intent.Value[string]) bool {
	if len(l.Hosts) == 0 {
		return true
	}
	for _, p := range l.Hosts {
		if hostsMeet(p.V, h.V) {
			return true
		}
	}
	c.report(diag.CertificateHosts, h.At, "listener %q takes no host %q, so its certificate is never of use", l.Name.V, h.V)
	return false
}

func hostsMeet(a, b string) bool {
	a, b = strings.ToLower(a), strings.ToLower(b)
	return model.HostCovers(a, b) || model.HostCovers(b, a)
}

// certified: each host of the listener has a certificate.
func (c *overIntent) certified(l *intent.GatewayListener) {
	for _, h := range l.Hosts {
		if !anyCertificate(l, func(name string) bool { return model.HostCovers(name, strings.ToLower(h.V)) }) {
			d := c.report(diag.CertificateHosts, h.At, "no certificate of listener %q is for all of host %q", l.Name.V, h.V)
			d.Help = "add a certificate for it, or leave `hosts` of one certificate out"
		}
	}
}

func anyCertificate(l *intent.GatewayListener, covers func(name string) bool) bool {
	for _, cert := range l.TLS.Certificates {
		for _, name := range cert.Hosts {
			if covers(strings.ToLower(name.V)) {
				return true
			}
		}
	}
	return false
}

// redirectsToHTTPS checks that a redirect has where to lead.
func (c *overIntent) redirectsToHTTPS(g *intent.Gateway, l *intent.GatewayListener) {
	if !scope.RedirectsToHTTPS(l) {
		return
	}
	if l.Protocol.V != "http" {
		c.report(diag.TLSWithoutEffect, l.Redirect.At, "listener %q is %s: only an http listener redirects to https", l.Name.V, l.Protocol.V)
		return
	}
	to := scope.HTTPSListener(g)
	if to == nil {
		c.report(diag.RedirectNowhere, l.Redirect.At, "gateway %q has not exactly one https listener to redirect to", g.Name.V)
		return
	}
	for _, h := range to.Hosts {
		if h.V == "*" {
			return
		}
	}
	if len(to.Hosts) == 0 {
		return
	}
	if len(l.Hosts) == 0 {
		c.report(diag.RedirectNowhere, l.Redirect.At, "listener %q redirects every host, and listener %q does not take every host", l.Name.V, to.Name.V).Help = "write the same `hosts` on both"
	}
	for _, h := range l.Hosts {
		if !coversHost(to.Hosts, h.V) {
			c.report(diag.RedirectNowhere, h.At, "listener %q does not take all of host %q, which is redirected to it", to.Name.V, h.V)
		}
	}
}

func coversHost(outer []intent.Value[string], inner string) bool {
	for _, o := range outer {
		if model.HostCovers(strings.ToLower(o.V), strings.ToLower(inner)) {
			return true
		}
	}
	return false
}

// routesRedirected reports routes that are on redirecting listeners only.
func (c *overIntent) routesRedirected(g *intent.Gateway) {
	for _, r := range g.Routes {
		if r.Listener == nil {
			continue
		}
		for _, l := range g.Listeners {
			if l.Name.V == r.Listener.V && scope.RedirectsToHTTPS(l) {
				c.report(diag.RouteRedirected, r.Listener.At, "gateway route %q is on listener %q, which redirects everything", r.Name.V, l.Name.V).Help = "leave `listener` out, or name the https listener"
			}
		}
	}
}
