package gen

import "strings"

// deny refuses requests that no allow rule of security is about as a whole, so
// that no rule makes another useless.
func (m *mesh) deny(f *source, s *service) {
	if !m.chance(40) {
		return
	}
	m.use("deny")
	rules := []string{"{" + m.conditions("ports: [\"http\"]") + "}"}
	if len(s.callers) > 0 && s.mtls != "permissive" && s.mtls != "disable" && m.chance(60) {
		rules = append(rules, "{from: "+list(s.writtenCallers()[:1])+`, methods: ["PATCH"]}`, `{notFrom: `+list(s.writtenCallers()[:1])+`, namespaces: [`+quote(s.namespace)+`], methods: ["REPORT"]}`, `{notNamespaces: [`+quote(s.namespace)+`], methods: ["SEARCH"]}`)
		m.use("deny.named")
	}
	f.line("security: deny: [%s]", strings.Join(rules, ", "))
}

// conditions of a rule that is about few requests.
func (m *mesh) conditions(port string) string {
	parts := []string{`paths: [{segmentPrefix: "/admin"}]`}
	if m.chance(35) {
		parts[0] = `paths: [{segmentPrefix: "/admin"}, {template: "/tenants/{*}/admin/{**}"}]`
		m.use("rule.template")
	}
	for _, c := range []struct{ name, text string }{
		{"ips", `ips: ["10.0.0.0/8", "2001:db8::/32"]`}, {"notIPs", `notIPs: ["10.1.0.0/16"]`}, {"hosts", `hosts: ["*.example.com", "admin.example.org"]`},
		{"ports", port}, {"notMethods", `notMethods: ["GET"]`}, {"notPaths", `notPaths: [{exact: "/admin/health"}, {regex: "/admin/v[0-9]+"}]`}, {"notHosts", `notHosts: ["new.example.com"]`},
		{"headers", `headers: "x-rule": ` + m.header()},
	} {
		if m.chance(35) {
			parts = append(parts, c.text)
			m.use("rule." + c.name)
		}
	}
	return strings.Join(parts, ", ")
}

func (m *mesh) edgeRules(f *source) {
	if m.chance(40) {
		f.line("security: deny: [{%s}]", m.conditions(`listeners: ["http"]`))
		m.use("gateway.deny")
	}
	if m.chance(40) {
		f.line(`security: allow: [{notMethods: ["TRACE"]}, {%s, methods: ["TRACE"]}]`, m.pick(`ips: ["10.0.0.0/8"]`, `hosts: ["*.example.com"]`))
		m.use("gateway.allow")
	}
}
