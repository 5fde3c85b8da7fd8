package gen

import "fmt"

// rateLimits writes rate limits; those that are global are counted by the store,
// which has no others.
func (m *mesh) rateLimits(f *source, edge bool) {
	if !m.whole || !m.envoy || m.chance(60) {
		return
	}
	f.open("rateLimits")
	defer f.close()
	by := m.maybe(", by: [" + m.pick(`{path: true}`, `{header: "x-user"}`, `{query: "user"}`, m.whoAsks(edge)+`, {header: "x-tenant"}, {query: "q"}`) + "]")
	keys := ""
	if by != "" {
		keys = m.maybe(fmt.Sprintf(", maxKeys: %d", 1+m.dice.IntN(50000)))
	}
	on := ""
	if edge {
		on = m.maybe(`on: ["g0"], `)
	}
	f.line("own: {%s%slocal: {requests: %d, per: %s%s%s}%s%s%s%s}", on, m.counted(), 400+m.dice.IntN(1000), quote(m.pick("50ms", "1s", "1h")),
		m.maybe(", burst: 20"), keys, by, m.maybe(", status: "+m.pick("400", "429", "503")), m.maybe(", enforced: "+m.pick("0", "12.5", "100")), m.maybe(", responseHeaders: true"))
	if m.stored && m.chance(50) {
		f.line("all: {%sglobal: {%s}%s}", m.counted(), m.maybe(`descriptor: [{key: "plan", value: "basic"}]`), by)
	}
}

func (m *mesh) whoAsks(edge bool) string {
	if edge {
		return "{sourceIP: true}"
	}
	return "{caller: true}"
}

// counted draws the requests that a limit is for.
func (m *mesh) counted() string {
	if m.chance(50) {
		return ""
	}
	path := m.pick(`{exact: "/a.b"}`, `{prefix: "/A", ignoreCase: true}`, `{segmentPrefix: "/a.b"}`, `{regex: ".*[.]html"}`, `{prefix: "/x", not: true}`)
	host := fmt.Sprintf("{%s: \"example.net\"%s}", m.pick("exact", "prefix", "suffix", "contains", "regex"), m.pick("", ", not: true"))
	return fmt.Sprintf("match: [{path: %s, %s}, {host: %s, headers: \"x-limit\": %s, query: {limit: %s, more: %s}}], ",
		path, m.pick(`method: "GET"`, `method: ["GET", "PUT"]`, `notMethod: "HEAD"`, `notMethod: ["HEAD", "GET"]`), host, m.value(true), m.value(false), m.value(false))
}
