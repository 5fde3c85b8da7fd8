package gen

import (
	"fmt"
	"strings"
)

// blocks draws the blocks of a traffic setting of any owner: "mesh", "service",
// "version" or "external". s is nil where there is no one service.
func (m *mesh) blocks(f *source, owner string, s *service) {
	if m.chance(50) {
		f.line("connectTimeout: %s", quote(m.pick("250ms", "1.5s", "10s")))
	}
	if m.chance(60) {
		f.line("connections: {%s}", m.amounts())
		if owner == "mesh" && m.chance(50) {
			f.line("connections: concurrentStreams: 100")
		}
		if owner == "mesh" && m.chance(50) {
			f.line("connections: %s", m.pings())
		}
	}
	if m.budget && m.chance(60) {
		f.line("retryBudget: {percent: %s%s}", m.pick("0.01", "20.25", "100"), m.maybe(", minConcurrency: 2"))
	}
	if !m.envoy {
		return
	}
	if m.chance(50) {
		f.line("outliers: {%s}", m.detectors())
	}
	if port, ok := m.askedPort(owner, s); m.chance(50) || owner == "external" && m.allAdmin {
		m.asks(f, port, ok)
	}
	m.balances(f, owner, s)
	m.places(f, owner)
}

func (m *mesh) maybe(text string) string {
	if m.chance(50) {
		return text
	}
	return ""
}

// amounts draws limits of connections.
func (m *mesh) amounts() string {
	var parts []string
	add := func(format string, args ...any) {
		if m.chance(50) {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	n := 100 + m.dice.IntN(1000)
	parts = append(parts, fmt.Sprintf("max: %d", n))
	add("maxPending: %d", n)
	add("maxRequests: %d", n)
	add("clients: %d", 1+m.dice.IntN(3))
	if !m.budget {
		add("maxRetries: %d", 3+m.dice.IntN(10))
	}
	add("requestsPerConnection: %d", n)
	add("idle: %s", quote(m.pick("0s", "30s", "2h")))
	add("maxAge: \"10m\"")
	if m.chance(60) {
		parts = append(parts, "keepalive: {"+strings.TrimPrefix(m.maybe(`, time: "60s"`)+m.maybe(`, interval: "5s"`)+m.maybe(`, probes: 3`), ", ")+"}")
	}
	return strings.Join(parts, ", ")
}

// detectors draws at least one of five.
func (m *mesh) detectors() string {
	parts := []string{m.pick("consecutive5xx: 5", "consecutive5xx: 7, consecutiveGateway: 3", "consecutiveLocal: 2", "consecutiveGateway: 4")}
	if parts[0] != "consecutiveLocal: 2" && m.chance(50) {
		parts = append(parts, "statuses: ["+m.pick(`"429", "5xx"`, `"503"`, `"4xx", "502", "504"`)+"]")
	}
	if m.chance(50) {
		parts = append(parts, "successRate: {"+strings.TrimPrefix(m.maybe(", minHosts: 2")+m.maybe(", minRequests: 10")+m.maybe(", stdev: 2.05"), ", ")+"}")
	}
	if m.chance(50) {
		parts = append(parts, "failurePercent: {threshold: 85"+m.maybe(", minHosts: 2")+m.maybe(", minRequests: 11")+"}")
	}
	if m.chance(50) {
		parts = append(parts, `interval: "5s", ejection: "20s"`)
	}
	if m.chance(50) {
		parts = append(parts, `maxEjection: "400s"`)
	}
	if m.chance(50) {
		parts = append(parts, "maxPercent: 50")
	}
	return strings.Join(parts, ", ")
}

// askedPort is the port that a health check may name.
func (m *mesh) askedPort(owner string, s *service) (string, bool) {
	switch {
	case owner == "mesh":
		return "admin", m.allAdmin
	case s != nil && len(s.ports) > 1:
		return "admin", true
	}
	return "", false
}

// asks draws a health check that the allow lists of generated services let in.
func (m *mesh) asks(f *source, port string, there bool) {
	how := m.pick(
		`http: {path: "/health"}`, `http: {path: "/health", statuses: [200, 204]}`, `http: {path: "/health", host: "health.example"}`,
		"tcp: {}", `tcp: {send: "PING\n"}`, `tcp: {send: "PING", receive: ["PO", "NG"]}`, `tcp: receive: ["HELLO"]`)
	if there {
		how += m.maybe(", port: " + quote(port))
	}
	f.line("health: {%s, interval: \"10s\", timeout: \"1s\"%s%s}", how, m.maybe(", healthyAfter: 1"), m.maybe(", unhealthyAfter: 2"))
}

// balances draws a policy: of those that hash where all routes have keys.
func (m *mesh) balances(f *source, owner string, s *service) {
	hashed := m.allHashed && owner == "mesh" || s != nil && s.hashed
	if must := hashed && owner != "version" || m.allHashed; !must && m.chance(30) {
		return
	}
	if owner == "version" && hashed && m.chance(50) {
		return
	}
	panics := m.maybe(", panicPercent: " + m.pick("0", "33.33", "50"))
	if hashed {
		f.line("balance: {policy: %s%s}", m.pick(`"ringHash"`, `"ringHash", ring: {min: 64, max: 512}`, `"ringHash", ring: min: 2048`,
			`"ringHash", ring: max: 4096`, `"maglev"`, `"maglev", table: 251`, `"maglev", table: 65521`), panics)
		return
	}
	slow := m.maybe(`, slowStart: {window: "30s"` + m.maybe(", minPercent: 12.5") + m.maybe(", aggression: 1.5") + "}")
	f.line("balance: {%s%s}", m.pick(`policy: "random"`, `policy: "leastRequest", choices: 3`+slow, `policy: "leastRequest"`+slow, `policy: "roundRobin"`+slow), panics)
}
