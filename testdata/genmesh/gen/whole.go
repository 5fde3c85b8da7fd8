package gen

import (
	"fmt"
	"slices"
	"strings"
)

// Whole gives a mesh of 5 to 50 services that may write any field of the
// schema. Of three seeds one is for meshc-proxy and two are for Envoy; a part
// of their services are applications that read xDS themselves.
func Whole(seed uint64) *Generated {
	return generate(seed, kind{whole: true, envoy: seed%3 != 0})
}

// ForMeshc says whether Whole(seed) is a mesh for meshc-proxy.
func ForMeshc(seed uint64) bool { return seed%3 == 0 }

// planWhole draws what concerns the whole mesh, before any service.
func (m *mesh) planWhole() {
	m.budget = m.chance(50)
	m.allHashed = m.envoy && m.chance(15)
	m.allAdmin = m.chance(20)
	m.stored = !m.allAdmin && !m.allHashed && m.chance(40) // it has no other port and no keys
}

// size draws the number of services: small ones are more frequent.
func (m *mesh) size() int {
	if !m.whole {
		return 5 + m.dice.IntN(8)
	}
	return 5 + min(m.dice.IntN(46), m.dice.IntN(46), m.dice.IntN(46))
}

// edges is the chance of a call between two services, in percent: a larger mesh
// is not a denser one.
func (m *mesh) edges(services int) int { return min(35, 350/services) }

// config writes what the whole mesh says.
func (m *mesh) config() string {
	if !m.whole {
		return ""
	}
	f := &source{depth: 1}
	if m.chance(40) {
		m.mode(f, m.pick("strict", "permissive"))
	}
	if !m.envoy && m.chance(50) {
		f.line("proxy: \"meshc\"")
	}
	if m.chance(30) {
		m.workload(f, nil)
	}
	if m.stored && m.envoy {
		f.line("rateLimitService: {service: \"shop/store\", failOpen: %s%s%s%s}", m.pick("true", "false"),
			m.maybe(`, port: "rpc"`), m.maybe(`, domain: "shop"`), m.maybe(`, timeout: "50ms"`))
	}
	if m.calls() {
		return ended(f) // grpc-go serves neither of the following
	}
	if m.chance(30) {
		f.line("trustDomainAliases: [%s]", m.pick(`"old.example"`, `"old.example", "older.example"`))
	}
	if m.chance(40) {
		m.telemetry(f)
	}
	if m.chance(50) || m.allHashed {
		f.open("traffic")
		m.blocks(f, "mesh", nil)
		f.close()
	}
	return ended(f)
}

// ended puts lines behind others that have no line feed yet.
func ended(f *source) string { return strings.TrimRight("\n"+f.String(), "\n") }

// calls says that there are applications that read xDS themselves.
func (m *mesh) calls() bool {
	return slices.ContainsFunc(m.services, func(s *service) bool { return s.rpc })
}

// identity writes how a service is called, and by which proxy it is served.
func (m *mesh) identity(f *source, s *service) {
	if !m.whole {
		return
	}
	if m.chance(30) {
		f.line("host: %s", quote(s.name+".internal.example"))
	}
	if m.chance(30) {
		f.line("serviceAccount: %s", quote("account-"+s.name))
	}
	if m.chance(30) {
		f.line("proxy: %s", quote(m.kindOfProxy()))
	}
	if m.chance(30) {
		m.telemetry(f)
	}
	if !s.rpc && m.chance(30) {
		m.workload(f, s)
	}
}

func (m *mesh) kindOfProxy() string {
	if m.envoy {
		return "envoy"
	}
	return "meshc"
}

func (m *mesh) labels(f *source, version string) {
	if m.whole && m.chance(30) {
		f.line("labels: {app: \"x\", track: %s}", quote(version))
	}
}

// telemetry draws a block of any kind.
func (m *mesh) telemetry(f *source) {
	f.open("telemetry")
	defer f.close()
	if m.envoy && m.chance(60) {
		m.tracing(f)
	}
	if m.envoy && m.chance(40) {
		f.line("metrics: {profile: %s}", m.pick(`"full"`, `"standard"`, `"minimal"`, `"full", drop: ["upstream_cx_length_ms", "upstream_flow_control_*"]`, `"minimal", drop: ["upstream_cx_*"]`))
	}
	m.accessLog(f)
}

func (m *mesh) accessLog(f *source) {
	f.open("accessLog")
	defer f.close()
	if !m.audited && m.chance(25) {
		m.silent = true
		f.line("off: true")
		return
	}
	if m.envoy && m.chance(30) {
		f.line("otlp: %s", m.collector("otlp"))
	} else if m.chance(50) {
		f.line("to: %s", quote(m.pick("stdout", "stderr", "/dev/null")))
	}
	switch m.dice.IntN(3) {
	case 0:
		f.line("text: %s", quote(m.pick("%REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE%", "%START_TIME% 100%% %REQ(X-USER?HOST):20%")+" %DYNAMIC_METADATA(envoy.filters.http.rbac:audit_shadow_effective_policy_id)%"))
	case 1:
		f.line("fields: {status: \"%%RESPONSE_CODE%%\", path: \"%%REQ(:PATH)%%\", \"who is it\": \"%%DOWNSTREAM_PEER_URI_SAN%%\"}")
	}
	if m.chance(70) {
		f.open("filter")
		m.filter(f)
		f.close()
	}
}

// filter has at least one condition.
func (m *mesh) filter(f *source) {
	f.line("percent: %s", m.pick("100", "12.5", "0.01"))
	if m.chance(50) {
		f.line("minStatus: %d", 400+m.dice.IntN(100))
	} else if m.chance(50) {
		f.line("errorsOnly: true")
	}
	if m.chance(50) {
		f.line("minDuration: %s", quote(m.pick("1ms", "500ms", "3s")))
	}
	for i := range m.dice.IntN(4) {
		f.line("headers: \"x-log-%d\": %s", i, m.value(false))
	}
}

// value is a condition of any kind on a text.
func (m *mesh) value(numbers bool) string {
	kinds := []string{"exact", "prefix", "suffix", "contains", "regex", "present"}
	if numbers {
		kinds = append(kinds, "range")
	}
	not := m.pick("", "", ", not: true", ", not: false")
	switch kind := m.pick(kinds...); kind {
	case "present":
		return "present: " + m.pick("true", "false")
	case "range":
		return fmt.Sprintf("{range: {from: %d, to: %d}%s}", -m.dice.IntN(9), 1+m.dice.IntN(99), not)
	case "regex":
		return `{regex: "[a-z]+[0-9]?"` + not + "}"
	default:
		return "{" + kind + ": " + quote(m.pick("jason", "v2.1", "(x)")) + not + "}"
	}
}
