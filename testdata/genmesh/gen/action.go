package gen

// answers writes an answer of the proxy's own in place of a destination, not for
// the first rule, which faults delay and abort.
func (m *mesh) answers(f *source, rule int) bool {
	if rule == 0 {
		return false
	}
	switch {
	case m.chance(12):
		f.line("redirect: %s", m.pick(`{scheme: "https", port: 8443, status: 308}`, `{host: "new.example.com", path: "/moved", status: 302}`,
			`{host: "new.example.com", keepQuery: false}`))
		m.use("redirect")
	case m.chance(12):
		f.line("respond: %s", m.pick(`status: 404`, `{status: 503, body: "later"}`, `{status: 200, body: "{}", contentType: "application/json"}`))
		m.use("respond")
	default:
		return false
	}
	if m.chance(35) {
		m.headers(f, "responseHeaders")
	}
	return true
}

func (m *mesh) rewrite(f *source) {
	if !m.chance(20) {
		return
	}
	f.line("rewrite: %s", m.pick(`{host: "inner.example.com:8080"}`, `{path: "/one"}`, `{regex: {pattern: "^/([a-z0-9]+)/", substitution: "/v1/\\1/"}}`))
	m.use("rewrite")
}
