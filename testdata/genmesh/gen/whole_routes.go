package gen

import (
	"fmt"
	"strings"
)

// exceptions draws conditions of any kind for requests that a rule leaves to
// others.
func (m *mesh) exceptions(rule string) string {
	var parts []string
	add := func(percent int, what string) {
		if m.chance(percent) {
			parts = append(parts, what)
		}
	}
	add(50, "path: "+m.pick(
		`{exact: "/`+rule+`/a.b"}`, `{prefix: "/`+rule+`", ignoreCase: true}`, `{segmentPrefix: "/`+rule+`/a.b"}`, `{regex: ".*[.]html"}`, `{prefix: "/x", not: true}`))
	add(50, m.pick(`method: "GET"`, `method: ["GET", "PUT"]`, `notMethod: "HEAD"`, `notMethod: ["HEAD", "GET"]`))
	add(20, "scheme: "+quote(m.pick("http", "https")))
	add(30, fmt.Sprintf("host: {%s: \"example.net\"%s}", m.pick("exact", "prefix", "suffix", "contains", "regex"), m.pick("", ", not: true")))
	parts = append(parts, `headers: {"x-guard": exact: "1"`+m.maybe(`, "x-except": `+m.value(true))+`}`) // never all requests
	add(30, `query: except: `+m.value(false))
	add(30, `cookies: except: `+m.value(false))
	return "{" + strings.Join(parts, ", ") + "}"
}

// prefixes writes rules that change or redirect what stands behind a prefix,
// before the rule that takes the rest.
func (m *mesh) prefixes(f *source, s *service) {
	if !m.whole || s.rpc {
		return
	}
	if m.chance(40) {
		f.line("moved: {match: [{path: %s}], redirect: {prefix: %s, scheme: \"https\", status: %s}, before: [\"rest\"]}",
			m.prefix("moved"), quote(m.pick("/", "/new/")), m.pick("301", "302", "303", "307", "308"))
	}
	if m.chance(40) {
		f.line("inner: {match: [{path: %s}], rewrite: {prefix: %s, host: \"inner.example\"}%s, to: %s: 100, after: []}",
			m.prefix("inner"), quote(m.pick("/", "/v2/")), m.hashKeys(s), s.versions[0])
	}
}

func (m *mesh) prefix(name string) string {
	return m.pick(`{prefix: "/`+name+`/"}`, `{segmentPrefix: "/`+name+`"}`, `{segmentPrefix: "/`+name+`", ignoreCase: true}`)
}

// order ties the rule that takes the rest to one that it follows anyway.
func (m *mesh) order(f *source, rules int) {
	if m.whole && rules > 0 && m.chance(40) {
		f.line("after: [\"r0\"]")
	}
}

func (m *mesh) hashKeys(s *service) string {
	if !s.hashed {
		return ""
	}
	return `, hash: [{cookie: "user"}]`
}

// destination writes changes of any kind for the requests of one version.
func (m *mesh) destination(f *source, version string) {
	f.open("destinations: " + version)
	for _, field := range []string{"requestHeaders", "responseHeaders"} {
		f.line("%s: {%s}", field, m.pick(`set: "x-to": "1"`, `add: "x-to": "%"`, `remove: ["x-inner"]`, `set: "x-to": "1", add: "x-more": "2", remove: ["x-a", "x-b"]`))
	}
	f.close()
}

// rpcRoutes are those of a grpc port.
func (m *mesh) rpcRoutes(f *source, s *service) {
	f.open("routes")
	if m.chance(60) {
		f.open("call")
		f.line("match: [{grpc: {service: \"shop.v1.Cart\"%s}}]", m.pick("", `, method: "Add"`))
		if m.chance(30) {
			f.line("except: [{headers: \"x-except\": %s}]", m.pick(`exact: "bot"`, `present: true`, `{range: {from: 1, to: 5}}`))
		}
		m.rpcAction(f, s)
		f.close()
	}
	f.open("rest")
	m.rpcAction(f, s)
	f.close()
	f.close()
	m.rpcFaults(f)
}

func (m *mesh) rpcAction(f *source, s *service) {
	m.weights(f, s)
	if m.chance(40) {
		f.line("timeout: %s", quote(m.pick("5s", "20s")))
	}
	if m.chance(40) {
		f.line("maxDuration: \"20s\"")
	}
	if !m.chance(50) {
		return
	}
	f.open("retries")
	f.line("attempts: %d", 1+m.dice.IntN(3))
	f.line("on: [%s]", m.pick(`"unavailable"`, `"cancelled", "deadline-exceeded"`, `"internal", "resource-exhausted"`))
	f.line("methods: [\"POST\"]")
	if m.chance(50) {
		f.line("backoff: {base: \"50ms\"%s}", m.pick("", `, max: "2s"`))
	}
	f.close()
}

// planCalls adds a few applications that read xDS themselves, and use one
// another only.
func (m *mesh) planCalls() {
	n := m.dice.IntN(4)
	if m.allAdmin || m.allHashed || m.chance(50) {
		return // they have neither
	}
	for i := range n {
		s := &service{name: fmt.Sprintf("rpc%d", i), namespace: "shop", versions: []string{"v1", "v2"}[:1+m.dice.IntN(2)], rpc: true}
		if i > 0 {
			s.callers = []string{fmt.Sprintf("shop/rpc%d", i-1)}
			m.services[len(m.services)-1].uses = []string{s.name}
		}
		m.services = append(m.services, s)
	}
}

// writeRPC writes what grpc-go serves.
func (m *mesh) writeRPC(s *service) {
	f := newSource()
	f.open("service: " + s.name)
	f.line("namespace: \"shop\"")
	f.line("ports: rpc: {number: 9000, protocol: \"grpc\"}")
	for _, v := range s.versions {
		f.line("versions: %s: {}", v)
	}
	for _, u := range s.uses {
		f.line("uses: %s: {}", quote(u))
	}
	m.rpcRoutes(f, s)
	f.close()
	m.files["shop/"+s.name+".cue"] = f.String()
}
