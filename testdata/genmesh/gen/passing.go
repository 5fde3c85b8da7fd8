package gen

// passing writes what is done with requests beside sending them on.
func (m *mesh) passing(f *source, s *service) {
	if m.envoy || m.whole {
		m.cors(f)
	}
	if !m.envoy {
		return
	}
	if n := len(s.versions); n == 3 && m.chance(30) { // splits end before the third
		f.line("mirror: [{version: \"v3\", percent: %s}]", m.pick("100", "0.01", "12.5"))
		m.use("mirror")
	}
	if m.chance(20) {
		f.line("upgrades: [\"websocket\"]")
		m.use("upgrades")
		s.upgrades = true
	}
}

func (m *mesh) cors(f *source) {
	if m.chance(20) {
		f.line("cors: {origins: [%s], methods: [\"GET\", \"PUT\"], headers: [\"x-user\"], exposeHeaders: [\"x-shown\"], maxAge: \"10m\", credentials: %s}",
			m.pick(`{exact: "https://shop.example"}`, `{prefix: "https://shop."}`, `{suffix: ".shop.example"}, {regex: "https://[a-z]+\\.example"}`), m.pick("true", "false"))
		m.use("cors")
	}
}

// sticky is for splits whose endpoints are not chosen by a hash of their own.
func (m *mesh) sticky(f *source, s *service) {
	if m.envoy && !s.hashed && m.chance(50) {
		f.line("sticky: %s", m.pick(`cookie: name: "user"`, `header: "x-user"`, `sourceIP: true`))
		m.use("sticky")
	}
}
