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
}

func (m *mesh) match(name string) string {
	var parts []string
	if m.chance(60) {
		parts = append(parts, "path: "+m.path(name))
	}
	if len(parts) > 0 && m.chance(40) {
		parts = append(parts, m.method())
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
	return "{" + kind + ": " + quote(value) + "}"
}

func (m *mesh) method() string {
	if m.chance(50) {
		m.use("method")
		return `method: "GET"`
	}
	m.use("method.anyOf")
	return `method: ["POST", "PUT"]`
}

// header is named, or negated.
func (m *mesh) header() string {
	if !m.chance(20) {
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
		return kind + ": " + quote(m.pick("jason", "v2.1", "(x)"))
	}
}
