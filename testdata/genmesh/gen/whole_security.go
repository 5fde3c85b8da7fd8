package gen

import (
	"fmt"
	"strings"
)

// rules writes modes by port, and who may do what: whoever declares to call is
// let in, and nothing that is denied is all that somebody asks for.
func (m *mesh) rules(f *source, s *service) {
	f.open("security")
	defer f.close()
	if s.mtls != "" {
		m.mode(f, s.mtls)
	}
	if !m.envoy && len(s.ports) > 1 && m.chance(50) { // elsewhere the port is asked for its health
		f.line("ports: admin: mtls: %s", quote(m.pick("strict", "permissive", "disable")))
	}
	if m.chance(30) {
		return
	}
	plain := s.mtls == "permissive" || s.mtls == "disable"
	whoever := `{from: ["*"]}`
	if !plain && len(s.callers) > 0 {
		whoever = "{from: " + list(s.writtenCallers()) + "}"
	}
	f.line("allow: [%s, {%s}]", whoever, m.rule(s, plain, true))
	if m.chance(70) {
		f.line("deny: [{%s}]", m.rule(s, plain, false))
	}
	if m.audits() {
		f.line("audit: [{%s}]", m.rule(s, plain, false))
	}
}

// audits says whether somebody audits: not where no log may say so.
func (m *mesh) audits() bool {
	if m.silent || m.chance(50) {
		return false
	}
	m.audited = true
	return true
}

// rule draws conditions of any kind on callers and requests; the one on x-rule
// keeps it from being about every request.
func (m *mesh) rule(s *service, plain, allow bool) string {
	parts := []string{`headers: {"x-rule": exact: "1"` + m.maybe(`, "x-more": `+m.value(true)) + "}"}
	add := func(format string, args ...any) {
		if m.chance(40) {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	switch {
	case plain && allow:
		parts = append(parts, `from: ["*"]`)
	case !plain && len(s.callers) > 0:
		parts = append(parts, m.pick(
			`from: `+list(s.writtenCallers()[:1]), `from: ["*"], notFrom: `+list(s.writtenCallers()[:1]), `namespaces: [`+quote(s.namespace)+`]`, `from: ["*"], notNamespaces: [`+quote(s.namespace)+`]`))
	case !plain:
		parts = append(parts, `namespaces: [`+quote(s.namespace)+`]`)
	}
	if len(s.ports) > 1 {
		add("%s", m.pick(`ports: ["http"]`, `notPorts: ["admin"]`))
	} else {
		add(`ports: ["http"]`)
	}
	return strings.Join(append(parts, m.requests()...), ", ")
}

// requests draws conditions on what is asked, and from where.
func (m *mesh) requests() []string {
	var parts []string
	add := func(what string) {
		if m.chance(40) {
			parts = append(parts, what)
		}
	}
	paths := `[{exact: "/health"}, {prefix: "/r"}, {segmentPrefix: "/api"}, {regex: "/v[0-9]+/.*"}, {template: "/t/{*}/x/{**}"}]`
	add(`ips: ["10.0.0.0/8", "2001:db8::/32"]`)
	if len(parts) > 0 {
		add(`notIPs: ["10.1.0.0/16"]`)
	}
	add(m.pick(`hosts: ["shop.example", "*.shop.example"]`, `hosts: ["*.shop.example"], notHosts: ["www.shop.example"]`, `notHosts: ["old.example"]`))
	add(m.pick(`methods: ["GET", "POST"]`, `notMethods: ["PUT", "DELETE"]`))
	add("paths: " + paths)
	add(`notPaths: [{exact: "/api/x"}, {prefix: "/rx"}, {segmentPrefix: "/api/y"}, {regex: "/v9.*"}, {template: "/t/9/{**}"}]`)
	return parts
}

// edgeOrders are those of a gateway, where all are from outside.
func (m *mesh) edgeOrders(f *source) {
	if !m.chance(60) {
		return
	}
	f.open("security")
	if m.chance(70) {
		f.line("allow: [{listeners: [\"http\"]}, {%s}]", m.edgeRule())
	}
	f.line("deny: [{%s}]", m.edgeRule())
	if m.audits() {
		f.line("audit: [{%s}]", m.edgeRule())
	}
	f.close()
}

func (m *mesh) edgeRule() string {
	parts := []string{`headers: {"x-rule": exact: "1"` + m.maybe(`, "x-more": `+m.value(true)) + m.maybe(`, "x-most": `+m.value(true)) + "}"}
	switch {
	case m.told && m.chance(50): // at some listener of every such gateway
		parts = append(parts, m.pick(`clientIPs: ["10.0.0.0/8", "2001:db8::/32"]`+m.maybe(`, notClientIPs: ["10.1.0.0/16"]`), `notClientIPs: ["192.0.2.0/24"]`))
	case m.told && m.chance(40): // some other one is there
		parts = append(parts, `notListeners: ["http"]`)
	case m.chance(40):
		parts = append(parts, `listeners: ["http"]`)
	}
	return strings.Join(append(parts, m.requests()...), ", ")
}

// secured opens listeners with TLS, and one that leads to them.
func (m *mesh) secured(f *source) {
	mode := m.pick("", `mode: "mutual", ca: secret: "partners", `, `mode: "optionalMutual", ca: file: "partners.pem", `)
	if strings.HasPrefix(mode, `mode: "mutual"`) && m.chance(50) {
		mode += `pins: ["NvqYIYSbgK2vCJpQhObf77vv+bQWtc5ek5RIOwPiC9A="], `
	}
	mode += m.maybe(`ciphers: ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"], `)
	f.line("listeners: secure: {port: 8444, protocol: \"https\", tls: {%scertificates: [%s]%s%s}}", mode,
		m.pick(`{secret: "shop"}`, `{secret: "shop", hosts: ["shop.example", "*.shop.example"]}, {file: "other/all.pem"}`),
		m.maybe(`, minVersion: "1.2"`), m.maybe(`, maxVersion: "1.3"`))
	if m.chance(60) {
		f.line("listeners: moved: {port: 80, protocol: \"http\", redirectToHTTPS: %s}", m.pick("true", "false"))
	}
}

// edgeActions writes routes of a gateway that answer, and what it does to
// requests.
func (m *mesh) edgeActions(f *source) {
	if m.chance(50) {
		f.line("routes: away: {match: [{path: %s}], redirect: {%s}%s}", m.prefix("away"), m.pick(
			`scheme: "https", host: "safe.example", port: 9443, status: 308`, `host: "new.example", prefix: "/", keepQuery: false`, `path: "/moved", status: 302`), m.edgeHeaders("responseHeaders"))
	}
	if m.chance(50) {
		f.line("routes: told: {match: [{path: exact: \"/told\"}], respond: {status: 418%s}}", m.pick("", `, body: "hot"`, `, body: "<b>hot</b>", contentType: "text/html"`))
	}
}

func (m *mesh) edgeHeaders(field string) string {
	if !m.chance(60) {
		return ""
	}
	return ", " + field + ": {" + m.pick(`set: "x-edge": "1"`, `add: "x-edge": "%"`, `remove: ["x-inner"]`) + "}"
}

// edgeChanges writes a route that changes requests, to a service that goes by
// nothing in them.
func (m *mesh) edgeChanges(f *source) {
	out := m.edgeHeaders("requestHeaders") + m.edgeHeaders("responseHeaders")
	if m.chance(60) {
		out += ", rewrite: {" + m.pick(`path: "/one"`, `prefix: "/new/", host: "in.example"`, `regex: {pattern: "^/([a-z0-9]+)/", substitution: "/v1/\\1/"}`) + "}"
	}
	f.line("routes: changed: {match: [{path: prefix: \"/changed/\"}]%s, to: \"plain\"}", out)
	m.files["shop/plain.cue"] = "package mesh\n\nservice: plain: {namespace: \"shop\", ports: http: {number: 80, protocol: \"http\"}, versions: v1: {}}\n"
}

// externalTLS reaches an external through TLS.
func (m *mesh) externalTLS(f *source) {
	if m.whole && m.envoy && m.chance(25) {
		f.line("proxyProtocol: %s", quote(m.pick("v1", "v2")))
	}
	if !m.whole || !m.chance(60) {
		return
	}
	if m.envoy && m.chance(20) {
		f.line("tls: insecure: {reason: \"it is old\", until: %s}", quote(expiry))
		return
	}
	var parts []string
	for _, p := range []string{`ports: ["http"]`, `sni: "edge.example"`, `sans: ["api.example"]`, `ca: ` + m.pick(`file: "api/ca.pem"`, `secret: "api"`), `minVersion: "1.3"`, `mode: "mutual", certificate: ` + m.pick(`file: "api/client.pem"`, `secret: "api-client"`)} {
		if m.chance(50) {
			parts = append(parts, p)
		}
	}
	f.line("tls: {%s}", strings.Join(parts, ", "))
}
