package check

import (
	"encoding/base64"
	"net/netip"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
)

// facing checks whom gateways believe, and where and as what they face clients.
func (c *overIntent) facing() {
	for _, g := range c.in.gateways {
		c.believes(g)
		if v := g.ServerHeader; v != nil {
			c.headerValue(&intent.KV{Key: intent.Value[string]{V: "server", At: v.At}, Value: *v})
		}
		for _, l := range g.Listeners {
			c.bound(l)
			if l.TLS != nil {
				c.clientKeys(l)
				c.ciphers(l)
			}
		}
	}
}

// believed is where a gateway says whose x-forwarded-for it believes.
func believed(g *intent.Gateway) *diag.Range {
	if g.TrustedCIDRs == nil {
		return nil
	}
	if len(g.TrustedCIDRs) == 0 {
		return &g.Name.At
	}
	return &g.TrustedCIDRs[0].At
}

func (c *overIntent) believes(g *intent.Gateway) {
	if g.TrustedCIDRs == nil {
		return
	}
	if g.TrustedHops != nil {
		d := c.report(diag.NotExactlyOne, *believed(g), "gateway %q: `trustedHops` and `trustedCIDRs` are two ways to say who is believed", g.Name.V)
		relateArms(d, where(g.TrustedHops), *believed(g))
	}
	if len(g.TrustedCIDRs) == 0 {
		c.report(diag.TrustsAnybody, g.Name.At, "gateway %q: `trustedCIDRs` is empty, so nobody is believed", g.Name.V).Help = "leave it out"
	}
	c.listedTwice("`trustedCIDRs`", g.TrustedCIDRs, same)
	for _, n := range g.TrustedCIDRs {
		switch p, err := literal.Network(n.V); {
		case err != nil:
			c.report(diag.BadNetwork, n.At, "%s", err)
		case p.Bits() == 0:
			d := c.report(diag.TrustsAnybody, n.At, "gateway %q believes whoever connects what it says about itself", g.Name.V)
			d.Help = "name the networks of the proxies in front of it"
		}
	}
}

// bound: an address that a socket can be open on.
func (c *overIntent) bound(l *intent.GatewayListener) {
	if l.Bind == nil {
		return
	}
	if ip, err := netip.ParseAddr(l.Bind.V); err != nil || ip.Zone() != "" || ip.IsMulticast() || ip.Is4In6() {
		c.report(diag.BadBind, l.Bind.At, "listener %q: %q is no IP address to be open on", l.Name.V, literal.Clip(l.Bind.V)).Help = "write an address as \"0.0.0.0\""
	}
}

// keyDigest is how many bytes of a pin say a key.
const keyDigest = 32

func (c *overIntent) clientKeys(l *intent.GatewayListener) {
	t := l.TLS
	if t.Pins == nil {
		return
	}
	if len(t.Pins) == 0 {
		c.report(diag.TLSDoesNothing, t.At, "listener %q: `pins` is empty, so no client would do", l.Name.V).Help = "leave it out for any key"
		return
	}
	switch {
	case t.Mode == nil || t.Mode.V == string(model.TLSTerminate):
		c.report(diag.TLSWithoutEffect, t.Pins[0].At, "listener %q does not ask clients for a certificate: nothing acts on `pins`", l.Name.V).Help = "write `mode: \"mutual\"`, or leave `pins` out"
	case t.Mode.V == string(model.TLSOptionalMutual):
		c.report(diag.TLSWithoutEffect, t.Mode.At, "listener %q: who shows no certificate has none of the `pins`, so the certificate is not optional", l.Name.V).Help = "write `mode: \"mutual\"`, or leave `pins` out"
	}
	c.listedTwice("`pins`", t.Pins, same)
	for _, p := range t.Pins {
		if raw, err := base64.StdEncoding.Strict().DecodeString(p.V); err != nil || len(raw) != keyDigest || len(p.V) != base64.StdEncoding.EncodedLen(keyDigest) {
			d := c.report(diag.BadPin, p.At, "listener %q: %q is not the SHA-256 of a key in base64", l.Name.V, literal.Clip(p.V))
			d.Help = "openssl x509 -in client.crt -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256 -binary | base64"
		}
	}
}

// ciphers are a choice up to TLS 1.2.
func (c *overIntent) ciphers(l *intent.GatewayListener) {
	t := l.TLS
	switch {
	case t.Ciphers == nil:
	case len(t.Ciphers) == 0:
		c.report(diag.TLSDoesNothing, t.At, "listener %q: `ciphers` is empty, so no handshake of TLS 1.2 would do", l.Name.V).Help = "leave it out for all of them, or write `minVersion: \"1.3\"`"
	case t.MinVersion != nil && t.MinVersion.V == string(model.TLS13):
		d := c.report(diag.TLSWithoutEffect, t.Ciphers[0].At, "listener %q speaks TLS 1.3 alone: nothing acts on `ciphers`", l.Name.V)
		d.Help = "leave `ciphers` out"
		d.Related = []diag.Related{{Range: t.MinVersion.At, Message: "why TLS 1.2 is not spoken"}}
	}
	c.listedTwice("`ciphers`", t.Ciphers, same)
}
