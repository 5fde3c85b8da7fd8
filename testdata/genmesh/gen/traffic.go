package gen

import "fmt"

// ForEnvoy gives the mesh of seed as Mesh does, and lets it use what only Envoy
// serves: how callers treat what they call.
func ForEnvoy(seed uint64) *Generated { return generate(seed, kind{envoy: true}) }

// traffic draws blocks for one owner: "service", "version" or "external".
func (m *mesh) traffic(f *source, owner string, s *service) {
	if m.whole {
		f.open("traffic")
		m.blocks(f, owner, s)
		f.close()
		return
	}
	if !m.envoy || !m.chance(60) {
		return
	}
	f.open("traffic")
	if m.chance(50) {
		f.line("connectTimeout: %s", quote(m.pick("250ms", "1s", "10s")))
		m.use("traffic.connectTimeout")
	}
	if m.chance(50) {
		m.connections(f, s != nil && s.budget)
	}
	m.outliers(f)
	m.health(f, owner, s)
	m.balance(f)
	f.close()
	m.use("traffic." + owner)
}

// connections limits retries in one way for all versions of a service: a
// budget takes the place of maxRetries.
func (m *mesh) connections(f *source, budget bool) {
	if budget {
		f.line("retryBudget: {percent: %s, minConcurrency: %d}", m.pick("0.01", "20", "100"), m.dice.IntN(9))
		f.line("connections: {max: %d, maxPending: %d, clients: %d}", 100+m.dice.IntN(1000), 100+m.dice.IntN(1000), 1+m.dice.IntN(100))
		m.use("retryBudget")
		return
	}
	f.line("connections: {maxRequests: %d, maxRetries: %d, requestsPerConnection: %d, idle: %s, maxAge: \"10m\", keepalive: {time: \"60s\", interval: \"5s\", probes: 3}}",
		1+m.dice.IntN(1000), 1+m.dice.IntN(10), 1+m.dice.IntN(1000), quote(m.pick("0s", "30s")))
	m.use("connections")
}

func (m *mesh) outliers(f *source) {
	if !m.chance(60) {
		return
	}
	detector := m.pick("consecutive5xx: 5", "consecutive5xx: 7, consecutiveGateway: 3", "consecutiveLocal: 2", "successRate: {minHosts: 2, stdev: 2.5}", "failurePercent: {threshold: 85, minHosts: 2, minRequests: 10}")
	f.line("outliers: {%s, interval: \"5s\", ejection: \"20s\", maxEjection: \"60s\", maxPercent: 50}", detector)
	m.use("outliers")
}

// health asks for what the allow lists of generated services let in.
func (m *mesh) health(f *source, owner string, s *service) {
	if !m.chance(50) {
		return
	}
	how := m.pick("http: {path: \"/health\", statuses: [200, 204]}", "tcp: {}", "tcp: {send: \"PING\", receive: [\"PONG\"]}")
	port := ""
	if owner != "external" && len(s.ports) > 1 {
		port = ", port: \"admin\""
		m.use("health.port")
	}
	f.line("health: {%s, interval: \"10s\", timeout: \"1s\", healthyAfter: 1, unhealthyAfter: 2%s}", how, port)
	m.use("health")
}

func (m *mesh) balance(f *source) {
	slow := "slowStart: {window: \"30s\", minPercent: 12.5, aggression: 1.5}"
	f.line("balance: {%s, panicPercent: %s}",
		m.pick("policy: \"random\"", "policy: \"leastRequest\", choices: 3, "+slow, "policy: \"roundRobin\", "+slow), m.pick("0", "33.33", "50"))
	m.use("balance")
}

// clocks draws what a route says beside its timeout.
func (m *mesh) clocks(f *source, s *service) {
	if !m.envoy {
		return
	}
	if s.hashed {
		f.line("hash: [{%s}]", m.pick("header: \"x-user\", terminal: true", "cookie: \"user\"", "query: \"user\"", "sourceIP: true"))
		m.use("hash")
	}
	if m.chance(40) {
		f.line("maxDuration: \"20s\"")
		f.line("idleTimeout: \"5s\"")
		m.use("clocks")
	}
}

// pauses draws what retries say of the time between them.
func (m *mesh) pauses(f *source, answered bool) {
	if !m.envoy {
		return
	}
	if m.chance(50) {
		f.line("perTryIdle: \"200ms\"")
		f.line("backoff: {base: %s, max: \"500ms\"}", quote(fmt.Sprintf("%dms", 1+m.dice.IntN(100))))
		f.line("avoidTried: true")
		m.use("retries.backoff")
	}
	if answered {
		f.line("rateLimited: {header: \"retry-after\", format: %s, max: \"10s\"}", quote(m.pick("seconds", "unixTime")))
		m.use("retries.rateLimited")
	}
}
