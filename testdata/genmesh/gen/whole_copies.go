package gen

// writeCopies adds a service whose requests are copied to others that it does
// not use, and who calls it.
func (m *mesh) writeCopies() {
	if !m.whole || !m.envoy || m.allAdmin || m.allHashed || m.chance(50) {
		return // they have no other port and no keys
	}
	f := newSource()
	f.line("service: auditor: {namespace: \"shop\", proxy: \"envoy\", ports: {http: {number: 80, protocol: \"http\"}, rpc: {number: 81, protocol: \"grpc\"}}, versions: v1: {}}")
	f.line("service: auditor: admission: %s", m.admission(`grpcStatuses: ["ok", "not-found"]`+m.maybe(`, statuses: ["2xx"]`)))
	f.line("service: trial: {proxy: \"envoy\", ports: {http: {number: 80, protocol: \"http\"}, more: {number: 82, protocol: \"http\"}}, versions: {v1: {}, v2: {}}, routes: all: to: v1: 100}")
	f.open("service: copied")
	f.line("namespace: \"shop\"")
	f.line("proxy: \"envoy\"")
	f.line("ports: http: {number: 80, protocol: \"http\"}")
	f.line("versions: {v1: {}, v2: {}}")
	f.line("routes: some: {match: [{path: prefix: \"/some\"}], from: [\"copier\"], to: v1: 100, mirror: [{to: \"auditor\"%s%s, percent: %s}]}",
		m.maybe(`, port: "http"`), m.maybe(`, version: "v1"`), m.pick("100", "0.01"))
	f.line("routes: all: {to: v1: 100, mirror: [{to: \"default/trial\", port: %s, version: %s, percent: %s}%s]}",
		quote(m.pick("http", "more")), quote(m.pick("v1", "v2")), m.pick("100", "33.33"), m.maybe(`, {version: "v2", percent: 1}`))
	f.close()
	f.line("service: copier: {namespace: \"shop\", proxy: \"envoy\", versions: v1: {}, uses: copied: {}}")
	f.line("gateway: copies: {namespace: \"shop\", proxy: \"envoy\", listeners: http: {port: 8089, protocol: \"http\"}, routes: all: to: \"copied\"}")
	m.files["shop/copies.cue"] = f.String()
}
