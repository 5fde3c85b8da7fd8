package gen

// egress lets an external be reached through a gateway.
func (m *mesh) egress(f *source) {
	if !m.whole || !m.envoy || !m.chance(40) {
		return
	}
	f.line("via: \"out\"")
	g := newSource()
	g.open("gateway: out")
	g.line("namespace: \"shop\"")
	g.line("kind: \"egress\"")
	g.close()
	m.files["shop/out.cue"] = g.String()
}
