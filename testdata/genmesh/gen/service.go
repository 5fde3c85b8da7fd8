package gen

import "fmt"

// expiry is past any clock that a test would use.
const expiry = "2099-01-01T00:00:00Z"

func (m *mesh) write(s *service) {
	f := newSource()
	f.open("service: " + s.name)
	f.line("namespace: %s", quote(s.namespace))
	f.line("owner: %s", quote("team-"+s.name))
	m.identity(f, s)
	for i, p := range s.ports {
		most := ""
		if !s.rpc {
			most = m.most()
		}
		f.line("ports: %s: {number: %d, protocol: \"http\"%s}", p, 8080+i, most)
	}
	s.hashed = m.envoy && (m.chance(30) || m.allHashed)
	s.budget = m.envoy && m.chance(50)
	for _, v := range s.versions {
		f.open("versions: " + v)
		m.labels(f, v)
		if m.whole && m.chance(50) || !m.whole && !s.hashed {
			m.traffic(f, "version", s)
		}
		f.close()
	}
	if s.hashed && !m.whole {
		f.line("traffic: balance: policy: %s", quote(m.pick("ringHash", "maglev")))
		m.use("balance.hash")
	} else {
		m.traffic(f, "service", s)
	}
	for _, u := range s.uses {
		f.line("uses: %s: {}", quote(u))
	}
	m.usesExternal(f, s)
	m.routes(f, s)
	m.security(f, s)
	m.rateLimits(f, false)
	m.holding(f, s)
	f.close()
	m.files[s.namespace+"/"+s.name+".cue"] = f.String()
}

func (m *mesh) usesExternal(f *source, s *service) {
	if !m.chance(40) {
		return
	}
	ref := "weather"
	if s.namespace != "shop" {
		ref = "shop/weather"
	}
	f.line("uses: %s: {}", quote(ref))
	m.use("uses.external")
}

// routes writes a few rules that do not cover one another and a last one that
// takes the rest.
func (m *mesh) routes(f *source, s *service) {
	if len(s.versions) == 1 && !s.hashed && m.chance(20) {
		m.use("routes.default")
		return
	}
	f.open("routes")
	n := m.dice.IntN(5)
	for i := range n {
		name := fmt.Sprintf("r%d", i)
		f.open(name)
		if len(s.ports) > 1 && m.chance(40) {
			f.line("port: \"admin\"")
			m.use("route.port")
		}
		m.routeFrom(f, s)
		m.matches(f, name)
		if !m.answers(f, i) {
			m.rewrite(f)
			m.action(f, s)
		}
		f.close()
	}
	m.prefixes(f, s)
	f.open("rest")
	m.order(f, n)
	m.action(f, s)
	m.passing(f, s)
	f.close()
	f.close()
	m.faults(f, s, n)
}

func (m *mesh) action(f *source, s *service) {
	m.weights(f, s)
	m.clocks(f, s)
	limit := m.pick("", "3s", "10s", "0s")
	if limit != "" {
		f.line("timeout: %s", quote(limit))
		m.use("timeout")
	}
	if limit == "0s" {
		m.use("timeout.none")
	}
	if m.chance(35) {
		m.retries(f)
	}
	if m.chance(35) {
		m.headers(f, "requestHeaders")
	}
	if m.chance(35) {
		m.headers(f, "responseHeaders")
	}
}

func (m *mesh) weights(f *source, s *service) {
	first := s.versions[0]
	if m.whole && !s.rpc && m.chance(30) {
		m.destination(f, first)
		if len(s.versions) > 1 {
			f.line("to: {%s: 99.5, %s: 0.5}", first, s.versions[1])
			return
		}
	} else if len(s.versions) == 1 && !s.rpc && m.chance(25) {
		f.line("destinations: %s: {requestHeaders: set: \"x-version\": %s, responseHeaders: remove: [\"x-inner\"]}", first, quote(first))
		m.use("destinations")
	}
	if len(s.versions) == 1 {
		f.line("to: %s: 100", first)
		return
	}
	second := s.versions[1]
	draw := m.dice.IntN(4)
	if draw > 0 && !s.rpc {
		m.sticky(f, s)
	}
	switch draw {
	case 0:
		f.line("to: %s: 100", second)
	case 1:
		f.line("to: {%s: 99.99, %s: 0.01}", first, second)
		m.use("weights.basisPoint")
	case 2:
		f.line("to: {%s: 8.2, %s: 91.8}", first, second)
		m.use("weights.decimal")
	default:
		whole := 1 + m.dice.IntN(99)
		f.line("to: {%s: %d, %s: %d}", first, whole, second, 100-whole)
		m.use("weights")
	}
}

// retries stay within the smallest timeout that action writes.
func (m *mesh) retries(f *source) {
	m.use("retries")
	f.open("retries")
	f.line("attempts: %d", 1+m.dice.IntN(3))
	answered := false
	on := []string{m.pick("connect-failure", "refused-stream", "reset", "reset-before-request", "gateway-error", "5xx", "retriable-4xx")}
	if m.chance(50) {
		on = append(on, m.pick("503", "429"))
		m.use("retries.status")
		answered = true
	}
	f.line("on: %s", list(on))
	m.pauses(f, answered)
	if m.chance(50) {
		f.line("perTry: \"500ms\"")
		m.use("retries.perTry")
	}
	if m.chance(50) {
		f.line("methods: [\"GET\", \"HEAD\"]")
		m.use("retries.methods")
	}
	f.close()
}

func (m *mesh) headers(f *source, field string) {
	f.open(field)
	if m.chance(60) {
		f.line("set: \"x-set\": %s", quote(m.pick("1", "100%", "a: b")))
		m.use(field + ".set")
	}
	if m.chance(60) {
		f.line("add: \"x-add\": %s", quote(m.pick("1", "%REQ(X)%")))
		m.use(field + ".add")
	}
	f.line("remove: [\"x-gone\"]")
	m.use(field + ".remove")
	f.close()
}

// faults concern the rest and, where there is one, the first rule.
func (m *mesh) faults(f *source, s *service, rules int) {
	if m.envoy && m.chance(40) {
		m.narrowFaults(f, s)
	} else if m.chance(35) {
		f.line("faults: slow: {on: \"rest\", delay: {fixed: \"2s\", percent: %s}, until: %s}", m.pick("10", "0.01", "100"), quote(expiry))
		m.use("fault.delay")
	}
	if rules > 0 && m.chance(35) {
		f.line("faults: fail: {on: \"r0\", abort: {status: %s, percent: %s}, until: %s}", m.pick("500", "503", "429"), m.pick("50", "12.5"), quote(expiry))
		m.use("fault.abort")
	}
}
