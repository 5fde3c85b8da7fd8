package gen

import "strings"

// matches writes an any-of list whose conditions are on names and paths that
// only the rule called name has: no rule covers another.
func (m *mesh) matches(f *source, name string) {
	var all []string
	for range 1 + m.dice.IntN(2) {
		all = append(all, m.match(name))
	}
	if len(all) > 1 {
		m.use("match.anyOf")
	}
	f.line("match: [%s]", strings.Join(all, ", "))
	if m.chance(25) || m.whole && m.chance(50) {
		f.line("except: [%s]", m.exception(name))
		m.use("match.except")
	}
}

// exception has something in common with every match.
func (m *mesh) exception(rule string) string {
	if m.whole {
		return m.exceptions(rule)
	}
	return m.pick(`{headers: "x-except": present: true}`, `{query: except: {prefix: "y", not: true}, cookies: except: exact: "1"}`,
		`{path: {regex: ".*[.]html"}, notMethod: "HEAD"}`, `{host: {suffix: ".example.net"}, scheme: "https"}`)
}

func (m *mesh) match(name string) string {
	var parts []string
	if m.chance(60) {
		parts = append(parts, "path: "+m.path(name))
	}
	if len(parts) > 0 && m.chance(40) {
		parts = append(parts, m.method())
	}
	if m.chance(15) || m.whole && m.chance(20) {
		parts = append(parts, `host: `+m.host())
	}
	if m.chance(15) {
		parts = append(parts, `scheme: `+quote(m.pick("http", "https")))
		m.use("scheme")
	}
	if m.chance(60) || len(parts) == 0 {
		parts = append(parts, `headers: "x-`+name+`": `+m.header())
	}
	if m.chance(35) {
		parts = append(parts, `query: "q`+name+`": `+m.named("query"))
	}
	if m.chance(35) {
		parts = append(parts, `cookies: "c`+name+`": `+m.named("cookie"))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func (m *mesh) path(name string) string {
	kind := m.pick("exact", "prefix", "segmentPrefix", "regex")
	m.use("path." + kind)
	value := "/" + name + "/a.b"
	if kind == "regex" {
		value = "/" + name + "/[a-z]+/?"
	}
	more := ""
	if kind != "regex" && m.chance(25) {
		more = ", ignoreCase: true"
		m.use("path.ignoreCase")
	}
	if m.chance(15) {
		more += ", not: true"
		m.use("path.not")
	}
	return "{" + kind + ": " + quote(value) + more + "}"
}

func (m *mesh) host() string {
	kind := m.pick("exact", "prefix", "suffix", "contains", "regex")
	m.use("host." + kind)
	not := ""
	if m.chance(30) {
		not = ", not: true"
		m.use("host.not")
	}
	return "{" + kind + `: "shop.example.com"` + not + "}"
}

func (m *mesh) method() string {
	if m.chance(25) {
		m.use("notMethod")
		return m.pick(`notMethod: "DELETE"`, `notMethod: ["DELETE", "PATCH"]`)
	}
	if m.chance(50) {
		m.use("method")
		return `method: "GET"`
	}
	m.use("method.anyOf")
	return `method: ["POST", "PUT"]`
}

// header is named, or negated.
func (m *mesh) header() string {
	switch {
	case m.chance(10):
		m.use("header.range")
		return "{range: {from: 5, to: 100}}"
	case !m.chance(20):
		return m.named("header")
	}
	m.use("header.not")
	kind := m.pick("exact", "prefix", "suffix", "contains", "regex")
	return "{" + kind + ": \"beta\", not: true}"
}

func (m *mesh) named(what string) string {
	kind := m.pick("exact", "prefix", "suffix", "contains", "regex", "present", "absent")
	m.use(what + "." + kind)
	switch kind {
	case "present":
		return "present: true"
	case "absent":
		return "present: false"
	case "regex":
		return `regex: "[0-9]+|none"`
	default:
		text := kind + ": " + quote(m.pick("jason", "v2.1", "(x)"))
		if what != "header" && m.chance(30) {
			m.use(what + ".not")
			text = "{" + text + ", not: true}"
		}
		return text
	}
}
