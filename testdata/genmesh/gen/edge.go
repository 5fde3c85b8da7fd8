package gen

import "strings"

// security writes a mode and who may call. Whoever declares to call is let in.
func (m *mesh) security(f *source, s *service) {
	if m.whole {
		m.rules(f, s)
		return
	}
	if s.mtls != "" {
		f.line("security: mtls: %s", quote(s.mtls))
		m.use("mtls." + s.mtls)
	}
	if len(s.ports) > 1 && s.mtls == "permissive" {
		f.line("security: ports: admin: mtls: %s", quote(m.pick("strict", "disable")))
		m.use("mtls.port")
	}
	m.deny(f, s)
	if m.chance(40) {
		m.use("allow.derived")
		return
	}
	if s.mtls == "permissive" || s.mtls == "disable" {
		f.line("security: allow: [{from: [\"*\"]%s}]", m.limits())
		m.use("allow.everybody")
		return
	}
	rules := []string{`{from: ["*"], paths: [{segmentPrefix: "/public"}], methods: ["GET"]}`}
	m.use("allow.everybody")
	if len(s.callers) > 0 {
		rules = append(rules, "{from: "+list(s.writtenCallers())+m.limits()+"}")
		m.use("allow.named")
	}
	f.line("security: allow: [%s]", strings.Join(rules, ", "))
}

func (s *service) writtenCallers() []string {
	out := make([]string, len(s.callers))
	for i, c := range s.callers {
		out[i] = strings.TrimPrefix(c, s.namespace+"/")
	}
	return out
}

// limits of a rule, to follow its from.
func (m *mesh) limits() string {
	out := ""
	if m.chance(50) {
		out += `, methods: ["GET", "POST"]`
		m.use("allow.methods")
	}
	if m.chance(50) {
		out += `, paths: [{exact: "/health"}, {prefix: "/r"}, {segmentPrefix: "/api"}, {regex: "/v[0-9]+/.*"}]`
		m.use("allow.paths")
	}
	return out
}

func (m *mesh) writeExternal() {
	f := newSource()
	f.open("external: weather")
	f.line("namespace: \"shop\"")
	f.line("host: \"weather.example.com\"")
	f.line("ports: http: {number: 80, protocol: \"http\"}")
	m.use("external")
	if m.chance(50) {
		f.line("endpoints: [\"192.0.2.1:80\", \"192.0.2.2:8080\"]")
		m.use("external.endpoints")
	} else {
		m.use("external.dns")
	}
	if !m.whole && m.chance(50) {
		f.line("tls: %s", m.pick("{}", `{ports: ["http"], minVersion: "1.3"}`, `{sni: "edge.example.com", sans: ["weather.example.com", "edge.example.com"], ca: file: "weather/ca.pem"}`))
		m.use("external.tls")
	}
	if m.chance(50) {
		f.line("timeout: \"2s\"")
		m.use("external.timeout")
	}
	m.traffic(f, "external", nil)
	m.externalTLS(f)
	m.egress(f)
	f.close()
	m.files["shop/weather.cue"] = f.String()
}

func (m *mesh) writeGateway() {
	f := newSource()
	f.open("gateway: ingress")
	f.line("namespace: \"shop\"")
	hosts := m.pick("", `["*"]`, `["*.example.com", "www.example.org"]`)
	field := ""
	if hosts != "" {
		field = ", hosts: " + hosts
		m.use("gateway.hosts")
	}
	f.line("listeners: http: {port: 8080, protocol: \"http\"%s}", field)
	m.edge(f)
	for i, s := range m.behind {
		m.gatewayRoute(f, "g"+string(rune('0'+i)), s, strings.Contains(hosts, "example"))
	}
	if !m.whole {
		m.edgeRules(f)
		m.secureListeners(f, field)
	}
	f.close()
	m.files["shop/ingress.cue"] = f.String()
}

// secureListeners adds a port with TLS, and one that redirects to it. hosts is
// the field of the plaintext listener, with a comma in front.
func (m *mesh) secureListeners(f *source, hosts string) {
	if m.whole || !m.chance(40) { // whole meshes have listeners with TLS of their own
		return
	}
	m.use("gateway.https")
	certificates := `{secret: "rest"}`
	if m.chance(60) {
		certificates = `{file: "edge/example.pem", hosts: ["www.example.org"]}, ` + certificates
		m.use("gateway.certificates")
	}
	more := m.pick("", `, minVersion: "1.3"`, `, minVersion: "1.2", maxVersion: "1.2"`, `, mode: "mutual", ca: secret: "partners"`, `, mode: "optionalMutual", ca: file: "ca.pem"`)
	f.line("listeners: https: {port: 9443, protocol: \"https\"%s, tls: {certificates: [%s]%s}}", hosts, certificates, more)
	if m.chance(60) {
		f.line("listeners: moved: {port: 8082, protocol: \"http\"%s, redirectToHTTPS: true}", hosts)
		m.use("gateway.redirectToHTTPS")
	}
}

func (m *mesh) gatewayRoute(f *source, name string, s *service, named bool) {
	f.open("routes: " + name)
	m.edgeOrder(f, name)
	if m.chance(80) {
		m.matches(f, name)
		m.use("gateway.match")
	} else {
		f.line("match: [{path: prefix: \"/%s/\"}]", name)
	}
	if named && m.chance(50) {
		f.line("hosts: [\"shop.example.com\"]")
		m.use("gateway.route.hosts")
	}
	if m.gatewayAnswers(f) {
		f.close()
		return
	}
	if len(s.ports) > 1 {
		f.line("port: \"http\"")
		m.use("gateway.port")
	}
	m.gatewayChanges(f)
	f.line("to: %s", quote(s.as("shop")))
	f.close()
}

// gatewayAnswers writes an answer of the gateway's own in place of a service.
func (m *mesh) gatewayAnswers(f *source) bool {
	if !m.chance(12) {
		return false
	}
	if m.whole { // whose matches may take what a redirect leads to
		f.line("respond: {status: 503, body: \"later\"}")
		return true
	}
	f.line("%s", m.pick(`redirect: {scheme: "https", port: 8443}`, `redirect: {host: "elsewhere.example.net", path: "/"}`,
		`respond: {status: 503, body: "later"}`))
	m.use("gateway.answers")
	return true
}

// gatewayChanges writes changes that no route of a service goes by.
func (m *mesh) gatewayChanges(f *source) {
	if m.chance(20) {
		f.line("requestHeaders: {set: \"x-edge\": \"1\", add: \"x-add\": \"edge\", remove: [\"x-forged\"]}")
		m.use("gateway.requestHeaders")
	}
	if m.chance(20) {
		m.headers(f, "responseHeaders")
		m.use("gateway.responseHeaders")
	}
}
