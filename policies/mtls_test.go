package policies_test

import (
	"strings"
	"testing"
)

const (
	secured = `gateway: edge: {listeners: web: {port: 443, protocol: "https", tls: {LISTENER}}, routes: api: to: "web"}`
	outside = `external: cards: {host: "cards.example.com", ports: https: {number: 443, protocol: "http"}, tls: {EXTERNAL}}`
)

// What listeners of gateways ask clients for, and externals are asked for, is
// never loosened; whatever tightens, or is another thing altogether, passes.
func TestMTLSOfListenersAndExternals(t *testing.T) {
	plainListener := `gateway: edge: {listeners: web: {port: 443, protocol: "http"}, routes: api: to: "web"}`
	plainExternal := `external: cards: {host: "cards.example.com", ports: https: {number: 443, protocol: "http"}}`
	listener := func(tls string) string { return strings.Replace(secured, "LISTENER", tls, 1) }
	external := func(tls string) string { return strings.Replace(outside, "EXTERNAL", tls, 1) }
	const shown = `certificates: [{secret: "edge"}]`
	for _, c := range []struct{ name, before, after, want, says string }{
		{"the same listener", listener(`mode: "mutual", ` + shown + `, ca: secret: "clients"`), listener(`mode: "mutual", ` + shown + `, ca: secret: "clients"`), "", ""},
		{"clients may show nothing", listener(`mode: "mutual", ` + shown + `, ca: secret: "clients"`), listener(`mode: "optionalMutual", ` + shown + `, ca: secret: "clients"`), "MSH2180", "TLS is optionalMutual, and was mutual"},
		{"clients are asked for nothing", listener(`mode: "optionalMutual", ` + shown + `, ca: secret: "clients"`), listener(`mode: "terminate", ` + shown), "MSH2180", "TLS is terminate, and was optionalMutual"},
		{"clients are asked for more", listener(`mode: "terminate", ` + shown), listener(`mode: "mutual", ` + shown + `, ca: secret: "clients"`), "", ""},
		{"another CA", listener(`mode: "mutual", ` + shown + `, ca: secret: "clients"`), listener(`mode: "mutual", ` + shown + `, ca: secret: "others"`), "MSH2180", "another CA vouches for clients"},
		{"an older TLS", listener(`mode: "terminate", minVersion: "1.3", ` + shown), listener(`mode: "terminate", minVersion: "1.2", ` + shown), "MSH2180", "TLS 1.2 is taken, and the least was 1.3"},
		{"a newer TLS", listener(`mode: "terminate", minVersion: "1.2", ` + shown), listener(`mode: "terminate", minVersion: "1.3", ` + shown), "", ""},
		{"plaintext", listener(`mode: "terminate", ` + shown), plainListener, "MSH2180", "it is http without TLS of its own"},
		{"no more plaintext", plainListener, listener(`mode: "terminate", ` + shown), "", ""},
		{"another certificate of the gateway", listener(`mode: "terminate", ` + shown), listener(`mode: "terminate", certificates: [{secret: "renewed"}]`), "", ""},
		{"the same external", external(`mode: "simple"`), external(`mode: "simple"`), "", ""},
		{"an external in plaintext", external(`mode: "simple"`), plainExternal, "MSH2180", "it is called in plaintext, and was not"},
		{"an external no more in plaintext", plainExternal, external(`mode: "simple"`), "", ""},
		{"an external that is not verified", external(`mode: "simple"`), external(`mode: "simple", insecure: {reason: "a test", until: "2026-02-01T00:00:00Z"}`), "MSH2180", "its certificate is not verified any more"},
		{"an external that is verified again", external(`mode: "simple", insecure: {reason: "a test", until: "2026-02-01T00:00:00Z"}`), external(`mode: "simple"`), "", ""},
		{"callers show nothing to an external", external(`mode: "mutual", certificate: secret: "us"`), external(`mode: "simple"`), "MSH2180", "callers show no certificate any more"},
		{"an older TLS to an external", external(`mode: "simple", minVersion: "1.3"`), external(`mode: "simple", minVersion: "1.2"`), "MSH2180", "TLS 1.2 is taken"},
		{"one more name of an external", external(`mode: "simple", sans: ["a.example.com"]`), external(`mode: "simple", sans: ["a.example.com", "b.example.com"]`), "MSH2180", "its certificate may have other names"},
		{"one name less", external(`mode: "simple", sans: ["a.example.com", "b.example.com"]`), external(`mode: "simple", sans: ["a.example.com"]`), "", ""},
		{"another CA of an external", external(`mode: "simple", ca: secret: "a"`), external(`mode: "simple", ca: secret: "b"`), "MSH2180", "another CA vouches for it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree := func(text string) []string {
				rest := []string{`gateway: edge: {listeners: web: {port: 80, protocol: "http"}, routes: api: to: "web"}`, ""}
				if strings.HasPrefix(text, "external") {
					rest = []string{`external: cards: {host: "cards.example.com", ports: https: {number: 443, protocol: "http"}}`, ""}
				}
				return append(rest, "", "mesh: {proxy: \"envoy\", policies: it: mtls: {}}\n"+text)
			}
			got := hold(t, compile(t, tree(c.before)...), compile(t, tree(c.after)...), c.want)
			if len(got) > 0 && !strings.Contains(got[0].Message, c.says) {
				t.Errorf("it says %q, and not %q", got[0].Message, c.says)
			}
		})
	}
}
