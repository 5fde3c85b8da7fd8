package gen

// edge writes how a gateway is called, by which proxy it is served, and what it
// gives clients time for.
func (m *mesh) edge(f *source) {
	if !m.whole {
		return
	}
	if m.chance(50) {
		f.line("listeners: second: {port: 8081, protocol: \"http\"%s%s}", m.maybe(", bind: \"127.0.0.1\""), m.most())
	}
	if m.chance(40) {
		f.line("serverHeader: \"edge\"")
	}
	if m.chance(50) {
		m.secured(f)
	}
	m.told = m.envoy && m.chance(50)
	m.edgeOrders(f)
	m.rateLimits(f, true)
	m.edgeHolding(f)
	m.edgeActions(f)
	if !m.allAdmin && !m.allHashed && m.chance(60) {
		m.edgeChanges(f)
	}
	if m.chance(40) {
		f.line("serviceAccount: \"edge\"")
	}
	if m.chance(40) {
		f.line("proxy: %s", quote(m.kindOfProxy()))
	}
	if m.chance(60) {
		m.telemetry(f)
	}
	if m.told {
		f.line("%s", m.pick("trustedHops: 0", "trustedHops: 1", "trustedHops: 2", `trustedCIDRs: ["10.0.0.0/8"]`, `trustedCIDRs: ["192.0.2.0/24", "2001:db8::/32"]`))
		f.line("listeners: balanced: {port: 8083, protocol: \"http\", proxyProtocol: true}")
	}
	if m.envoy && m.chance(60) {
		f.line("timeouts: {requestHeaders: %s%s%s}", quote(m.pick("0s", "5s")), m.maybe(", idle: \"10m\""), m.maybe(", maxConnection: \"24h\""))
	}
}

// edgeOrder says what is so anyway, and for which listener a route is.
func (m *mesh) edgeOrder(f *source, name string) {
	if !m.whole {
		return
	}
	if m.chance(30) {
		f.line("listener: \"http\"")
	}
	if name == "g0" && len(m.behind) > 1 && m.chance(50) {
		f.line("before: [\"g1\"]")
	}
	if name == "g2" && m.chance(50) {
		f.line("after: [\"g0\"]")
	}
}
