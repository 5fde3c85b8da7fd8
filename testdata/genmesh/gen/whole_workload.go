package gen

// workload draws how pods get a proxy, for a service or, with nil, the mesh.
func (m *mesh) workload(f *source, s *service) {
	f.open("workload")
	defer f.close()
	if s != nil && m.chance(10) {
		f.line("inject: false")
		return
	}
	f.line("inject: true")
	if m.chance(50) {
		f.line("hold: %s", m.pick("true", "false"))
	}
	if m.chance(50) {
		f.line("drain: %s", quote(m.pick("1s", "40s", "5m")))
	}
	if m.chance(50) {
		f.line("probes: rewrite: %s", m.pick("true", "false"))
	}
	if m.chance(60) {
		f.line("capture: uid: %s", m.pick("1", "1337", "2147483647"))
		f.line("capture: inbound: exclude: %s", m.pick("[]", "[65535]", "[65534, 65533]"))
		f.line("capture: outbound: {include: %s, exclude: %s, excludePorts: %s}",
			m.pick("[]", "[\"10.0.0.0/8\", \"2001:db8::/32\"]"), m.pick("[]", "[\"10.9.0.0/16\", \"10.1.2.3\"]"), m.pick("[]", "[22, 3306]"))
	}
	if m.chance(60) {
		m.container(f, s)
	}
}

func (m *mesh) container(f *source, s *service) {
	f.open("proxy")
	defer f.close()
	f.line("logLevel: %s", quote(m.pick("debug", "info", "warn", "error")))
	if m.chance(50) {
		f.line("image: %s", quote(m.pick("proxy", "registry.example:5000/mesh/proxy:v1")))
	}
	if m.envoy && m.chance(50) {
		f.line("agentImage: %s", quote("registry.example/mesh/agent:v2"))
	}
	if m.chance(50) {
		f.line("resources: {requests: {cpu: \"10m\", memory: \"32Mi\"}, limits: {cpu: \"1.5\", memory: \"1G\"}}")
	}
}
