package gen

import (
	"fmt"
	"strings"
)

// writeTokens adds a service and a gateway that verify tokens, and whose keys
// they are verified with. Envoy alone does so.
func (m *mesh) writeTokens() {
	if !m.whole || !m.envoy || m.allAdmin || m.allHashed || m.chance(50) {
		return // they have no other port and no keys
	}
	f := newSource()
	f.line("external: idp: {namespace: \"shop\", host: \"idp.example\", ports: {https: {number: 443, protocol: \"http\"}%s}, tls: {}}", m.second(`spare: {number: 444, protocol: "http"}`))
	f.line("service: guard: {namespace: \"shop\", proxy: \"envoy\", ports: rpc: {number: 9000, protocol: \"grpc\"}, uses: idp: {}, versions: v1: {}}")
	f.open("service: member")
	f.line("telemetry: accessLog: to: \"stdout\"")
	f.line("namespace: \"shop\"")
	f.line("proxy: \"envoy\"")
	f.line("ports: http: {number: 80, protocol: \"http\"}")
	f.line("versions: v1: {}")
	f.line("uses: {idp: {}, guard: {}}")
	f.open("security")
	m.provider(f, "inner", m.pick("true", "false"))
	m.authorizer(f)
	f.line("public: [{paths: [{exact: \"/health\"}]}%s]", m.maybe(`, {hosts: ["open.example"], methods: ["GET", "POST"], paths: [{prefix: "/o"}, {segmentPrefix: "/p"}, {regex: "/q[0-9]"}, {template: "/t/{*}"}]}`))
	f.line("allow: [{from: [\"*\"], paths: [{exact: \"/health\"}]}, {from: [\"*\"], claims: inner: %s}]", m.claims())
	f.line("deny: [{paths: [{segmentPrefix: \"/admin\"}], claims: inner: %s}]", m.claims())
	f.line("audit: [{claims: inner: %s}]", m.claims())
	f.close()
	f.close()
	f.open("gateway: members")
	f.line("telemetry: accessLog: to: \"stdout\"")
	f.line("namespace: \"shop\"")
	f.line("proxy: \"envoy\"")
	f.line("listeners: http: {port: 8088, protocol: \"http\"}")
	f.open("security")
	m.provider(f, "outer", m.pick("true", "false"))
	m.authorizer(f)
	f.line("public: [{methods: [\"OPTIONS\"]}%s]", m.maybe(`, {hosts: ["open.example"], paths: [{exact: "/a"}, {prefix: "/o"}, {segmentPrefix: "/p"}, {regex: "/q[0-9]"}, {template: "/t/{*}"}]}`))
	f.line("allow: [{headers: \"x-open\": present: true}, {claims: outer: %s}]", m.claims())
	f.line("deny: [{headers: \"x-shut\": present: true, claims: outer: %s}]", m.claims())
	f.line("audit: [{claims: outer: %s}]", m.claims())
	f.close()
	f.line("routes: some: {match: [{path: prefix: \"/some\", claims: outer: %s}], except: [{headers: \"x-guard\": exact: \"1\", claims: outer: %s}], to: \"member\"}", m.claims(), m.claims())
	f.line("routes: rest: {to: \"member\", after: [\"some\"]}")
	f.close()
	m.files["shop/tokens.cue"] = f.String()
}

// authorizer draws who is asked.
func (m *mesh) authorizer(f *source) {
	if m.chance(60) {
		f.line("authorizer: {service: \"guard\"%s%s%s%s%s%s%s}", m.maybe(`, on: [{methods: ["GET", "PUT"]}, {hosts: ["*.shop.example"], paths: [{exact: "/a"}, {prefix: "/b"}, {segmentPrefix: "/c"}, {regex: "/d+"}, {template: "/t/{**}"}]}]`),
			m.maybe(`, except: [{hosts: ["open.example"], methods: ["GET"], paths: [{exact: "/health"}, {prefix: "/o"}, {segmentPrefix: "/static"}, {regex: "/q[0-9]"}, {template: "/{*}/free"}]}]`), m.maybe(`, port: "rpc"`), m.maybe(`, timeout: "1s"`),
			m.maybe(", failOpen: "+m.pick("true", "false")), m.maybe(`, headers: ["authorization", "x-user"]`), m.maybe(", maxBody: 4096"))
	}
}

// provider draws one whose tokens are in places of its own.
func (m *mesh) provider(f *source, name, required string) {
	f.open("jwt: " + name)
	defer f.close()
	f.line("issuer: \"https://idp.example/%s\"", name)
	f.line("required: %s", required)
	f.line("jwks: %s", m.pick(
		`file: "/etc/mesh/jwks.json"`, m.keys(`path: "/jwks"`), `{external: "idp", port: "https", path: "/jwks?v=2", cache: "90s"}`))
	f.line("from: [{header: \"x-%s\"%s}%s%s]", name, m.maybe(`, prefix: "JWT "`), m.maybe(`, {query: "`+name+`"}`), m.maybe(`, {cookie: "`+name+`"}`))
	if m.chance(50) {
		f.line("audiences: [\"shop\", \"all\"]")
	}
	if m.chance(50) {
		f.line("forward: %s", m.pick("true", "false"))
	}
	if m.chance(50) {
		f.line("claimHeaders: {\"x-%s-user\": \"sub\", \"x-%s-team\": \"/org/team\"}", name, name)
	}
	if m.chance(50) {
		f.line("clockSkew: %s", quote(m.pick("0s", "30s", "5m")))
	}
}

// claims draws conditions of any kind, each on a claim of its own.
func (m *mesh) claims() string {
	names := []string{"sub", "scope", "/realm/roles", "https://shop.example/level"}
	var parts []string
	for _, name := range names[:1+m.dice.IntN(len(names))] {
		parts = append(parts, fmt.Sprintf("%s: %s", quote(name), m.value(false)))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// keys are fetched from the only port, where no second one makes it necessary to
// name it.
func (m *mesh) keys(path string) string {
	if m.seconds() {
		return `{external: "idp", port: "spare", ` + path + "}"
	}
	return `{external: "idp", ` + path + "}"
}
