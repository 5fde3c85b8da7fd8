package gen

import "math/rand/v2"

// policySeed keeps guardrails apart from the mesh, as expectSeed does.
const policySeed = 0x706f6c

// writePolicies writes guardrails of every kind for some meshes. Whether these keep
// to them is left to chance: they compile in any case.
func (m *mesh) writePolicies(seed uint64) {
	if !m.whole {
		return
	}
	m.dice = rand.New(rand.NewPCG(seed, policySeed))
	if !m.chance(40) {
		return
	}
	first := quote(m.services[0].ref())
	exempt := func(more string) string {
		return `exemptions: it: {service: ` + first + more + `, reason: "it is new", owner: "team-shop", until: "2039-01-01T00:00:00Z"}`
	}
	const windows = `windows: winter: {from: "2038-01-01T00:00:00Z", until: "2038-03-01T00:00:00Z"}`
	f := newSource()
	f.open("mesh: policies")
	f.line("owned: {owned: {}, severity: %s, %s}", m.pick(`"error"`, `"warning"`), exempt(""))
	f.line("egress: egress: {hosts: [\"*.example.com\"], networks: [\"10.0.0.0/8\"]}")
	f.line("tries: {retries: max: %s, %s}", m.pick("1", "6", "1000"), exempt(m.maybe(`, route: "all"`)))
	f.line("lab: {faults: %s}", windows)
	f.line("steps: {canary: maxStep: %s, %s}", m.pick("0.01", "12.5", "100"), exempt(""))
	if m.gateway {
		f.line("steps: exemptions: edge: {gateway: \"shop/ingress\", reason: \"it is new\", owner: \"team-shop\", until: \"2039-01-01T00:00:00Z\"}")
	}
	f.line("mtls: {mtls: {}, %s}", exempt(""))
	f.line("mtls: exemptions: out: {external: \"shop/weather\", reason: \"it is new\", owner: \"team-shop\", until: \"2039-01-01T00:00:00Z\"}")
	f.line("access: {access: {}, %s}", exempt(""))
	f.line("freeze: freeze: %s", windows)
	f.close()
	m.files["policies.cue"] = f.String()
}
